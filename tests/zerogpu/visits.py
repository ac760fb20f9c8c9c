"""Visits to the page on ZeroGPU, run in a process of their own: what each met, as JSON on the last line."""

import base64
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from tests.zerogpu.service import REFUSED, Service, import_spaces

service = Service().start()
os.environ.update(service.environment())
spaces = import_spaces()

import numpy as np  # noqa: E402
from gradio.context import LocalContext  # noqa: E402

from fer_space.errors import MissingDependencyError  # noqa: E402
from fer_space.occlusion.cover import Cover  # noqa: E402
from fer_space.ui.api import read_all  # noqa: E402
from fer_space.ui.session import Answer, Options  # noqa: E402
from tests.toys import MISSING, ToyEngine  # noqa: E402
from tests.ui.conftest import panorama  # noqa: E402
from tests.ui.desk import TWO, Desk, click  # noqa: E402
from tests.ui.test_live import Camera  # noqa: E402
from tests.ui.test_video import WIDE, Cinema, film  # noqa: E402

TOKEN = ".".join(["", base64.urlsafe_b64encode(b'{"user": "somebody"}').decode().rstrip("="), ""])
NAMES = [*TWO, "toy_vit"]
OTHER = 1  # of the examples


class Troubled(ToyEngine):
    """Fails as it is told when a model is asked; the pictures are those of the toy engine."""

    def stream(self, *args: Any, **options: Any) -> Iterator[Any]:
        steps = super().stream(*args, **options)
        if "toy_vit" not in options["backbones"]:
            return (yield from steps)
        yield next(steps)
        match options["method"]:
            case "hirescam":
                raise MissingDependencyError(MISSING)
            case "layercam":
                raise RuntimeError("an error that nobody foresaw")
            case "eigencam":
                os.kill(os.getpid(), signal.SIGKILL)
        yield from steps


LocalContext.request.set(SimpleNamespace(headers=SimpleNamespace(get={"x-ip-token": TOKEN}.get)))
desk = Desk(NAMES, engine=Troubled(NAMES), lend=spaces.GPU)


def example(index: int = OTHER, method: str = "default", names: list[str] = NAMES) -> None:
    desk.set(desk.sidebar.options, method=method, backbones=names)
    desk.example(index)


def crowd() -> None:
    desk.set(desk.sidebar.options, method="default", backbones=NAMES)
    desk.upload(panorama())


def cover() -> None:
    desk.follow()


def slide() -> None:
    desk.run(desk.cover.slide, *desk.view())


def mix() -> None:
    desk.run(desk.lab.mix, 1, "cutmix")


def program() -> None:
    image = np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8)
    faces = desk.engine.detect(image)
    free, hidden = read_all(desk.runs, image, Options(tuple(NAMES)), faces, (None, Cover("surgical")))
    assert [len(side[0].readings) for side in (free, hidden)] == [3, 3]


def camera() -> None:
    seen = Camera(desk)
    looked = [seen.look(models=tuple(NAMES)) for _ in range(3)]
    assert [len(reading["faces"][0]["models"]) for reading in looked] == [3, 3, 3]


def clip() -> None:
    with TemporaryDirectory() as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        *_, (progress, timeline) = Cinema(desk=desk).read(
            film(Path(folder) / "clip.mp4", 6, size_wh=WIDE), tuple(NAMES)
        )
    assert "The video was read" in progress, progress
    assert timeline.count("data-track") == 2


def leave() -> None:
    """Another picture is chosen when the first model has answered."""
    desk.engine.pause = 2.0
    desk.run(desk.do.example, click(index=0), *desk.view())
    steps = desk.steps(desk.do.read, *desk.options(), *desk.view())
    while not desk.session.answer.read:
        next(steps)
    desk.session.begin(Answer())
    started = time.monotonic()
    assert list(steps) == [None]
    desk.engine.pause = 0.0
    assert time.monotonic() - started < 3.5


VISITS = {
    "read": example,
    "cover": cover,
    "slide": slide,
    "mix": mix,
    "crowd": crowd,
    "program": program,
    "camera": camera,
    "clip": clip,
    "leave": leave,
    "missing": lambda: example(method="hirescam"),
    "unforeseen": lambda: example(method="layercam"),
    "killed": lambda: example(method="eigencam"),
    "again": example,
    **{plan: lambda plan=plan: (service.plan.append(plan), example(0)) for plan in REFUSED},
    "at last": lambda: example(0),
}


def main() -> None:
    opened = len(service.leases)
    met = {}
    for name, visit in VISITS.items():
        leases, releases = len(service.leases), len(service.releases)
        visit()
        answer = desk.session.answer
        met[name] = {
            "seconds": service.leases[leases:],
            "failed": service.releases[releases:],
            "problem": answer.problem,
            "picture": answer.picture is not None,
            "faces": len(answer.read),
            "models": min((len(c.readings) for c in answer.read), default=0),
            "covered": len(desk.session.coverage.covered),
            "slid": len(desk.session.coverage.slid),
            "mixed": desk.values.get(desk.bench.shown, "").count("<tr data-model"),
        }
    print(json.dumps({"opened": opened, "met": met}), flush=True)


if __name__ == "__main__":
    main()
