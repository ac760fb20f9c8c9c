"""One toy page per test module, served on a free port, with an upload folder of its own."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import cv2
import gradio as gr
import numpy as np
import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from fer_space.backbones.specs import BACKBONES
from fer_space.detectors.insightface_scrfd import FOLDER_VARIABLE
from fer_space.ui import page as page_module
from fer_space.ui.reading import Runs
from fer_space.ui.session import Sessions
from fer_space.ui.turns import Turns
from tests.toys import TOY_SPECS, ToyEngine
from tests.ui.visit import CHROMIUM, DESK, FLAGS, Visit, film

ROOT = Path(__file__).parents[2]
Pause = Callable[[float], None]
EXAMPLES = ROOT / "examples"


def zipped(members: dict[str, bytes], method: int = ZIP_DEFLATED) -> bytes:
    """A zip in memory."""
    buffer = BytesIO()
    with ZipFile(buffer, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def panorama() -> bytes:
    """A picture in which the toy detector finds forty faces."""
    noise = np.random.default_rng(0).integers(0, 255, (30, 400, 3), dtype=np.uint8)
    wide = cv2.resize(noise, (2400, 180), interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(".png", wide)[1].tobytes()


@dataclass(frozen=True)
class Served:
    url: str
    uploads: Path
    engine: ToyEngine
    sessions: Sessions
    turns: Turns
    page: gr.Blocks

    def at_rest(self) -> int:
        """Wait until nothing has been read for a second, and say how often models have answered so far."""
        deadline = time.monotonic() + 30
        calls, since = self.engine.calls, time.monotonic()
        while time.monotonic() < since + 1:
            if self.turns.line or self.engine.calls != calls:
                calls, since = self.engine.calls, time.monotonic()
            assert time.monotonic() < deadline, "models still answer"
            time.sleep(0.02)
        return calls


@pytest.fixture(scope="module", autouse=True)
def _toy_backbones() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for spec in TOY_SPECS:
            patch.setitem(BACKBONES, spec.name, spec)
        yield


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    uploads = tmp_path_factory.mktemp("uploads")
    engine = ToyEngine([spec.name for spec in TOY_SPECS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(uploads))
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        patch.setenv(FOLDER_VARIABLE, str(uploads / "nowhere"))
        sessions: list[Sessions] = []
        keep = Sessions.__init__
        patch.setattr(Sessions, "__init__", lambda own, *rest: (keep(own, *rest), sessions.append(own))[0])
        runs: list[Runs] = []
        made = page_module.runs_of
        patch.setattr(page_module, "runs_of", lambda *of: (runs.append(made(*of)), runs[-1])[1])
        page = page_module.build_page(engine, examples=EXAMPLES)
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **page_module.serving_options())
        yield Served(url, uploads, engine, sessions[0], runs[0].turns, page)
        page.close(verbose=False)


@pytest.fixture
def slow(served: Served) -> Iterator[Pause]:
    """Lets every model take some seconds for a reading, in this test alone."""

    def pause(seconds: float) -> None:
        served.engine.pause = seconds

    yield pause
    pause(0.0)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    camera = tmp_path_factory.mktemp("camera") / "astronaut.y4m"
    film(cv2.imread(str(EXAMPLES / "astronaut.jpg")), camera)
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser, served: Served) -> Iterator[Callable[..., Visit]]:
    contexts = []

    def open_page(size_wh: tuple[int, int] = DESK, scheme: str = "light") -> Visit:
        viewport = {"width": size_wh[0], "height": size_wh[1]}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, permissions=["camera"])
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)
        visit = Visit(page, [], [])
        page.on("console", lambda m: visit.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: visit.errors.append(str(error)))
        page.on("request", lambda r: visit.strangers.append(r.url) if _is_stranger(r.url, served) else None)
        page.goto(served.url)
        page.locator(".fer-answer").wait_for()
        return visit

    expect.set_options(timeout=30_000)
    yield open_page
    for context in contexts:
        context.close()


def _is_stranger(url: str, served: Served) -> bool:
    return not url.startswith((served.url, "data:", "blob:"))
