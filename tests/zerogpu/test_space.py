"""The tree as a Space gets it: under a Space's rules, and started as ZeroGPU starts it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from gradio_client import Client, handle_file
from huggingface_hub import RepoCard
from packaging.requirements import Requirement

from fer_space.publishing.space import write_space
from tests.test_app import free_port
from tests.zerogpu.service import Service

ROOT = Path(__file__).parents[2]
LARGEST_PLAIN = 10 * 1024**2  # bytes; larger files have to go through LFS or Xet
ROOM = 50 * 1024**3  # of a free Space
KEPT = {"human_emotion", "faceapi"}  # small ones, so that the start takes seconds
START = """
import runpy, sys
sys.path.append({root!r})
from tests.zerogpu.service import import_spaces
import_spaces()
sys.argv = ["app.py"]
runpy.run_path("app.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def space(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_space(ROOT, tmp_path_factory.mktemp("spaces") / "space")


@pytest.fixture(scope="module")
def files(space: Path) -> list[Path]:
    return [path for path in space.rglob("*") if path.is_file()]


def test_large_files_and_binaries_go_through_lfs(space: Path, files: list[Path]):
    rules = [line.split() for line in (space / ".gitattributes").read_text().splitlines()]
    assert all(rule[1:] == ["filter=lfs", "diff=lfs", "merge=lfs", "-text"] for rule in rules)
    patterns = [rule[0] for rule in rules]
    plain = [path for path in files if not any(fnmatch(path.name, pattern) for pattern in patterns)]
    assert max(path.stat().st_size for path in plain) < LARGEST_PLAIN
    binary = [path for path in plain if b"\0" in path.read_bytes()]
    assert not binary


def test_this_repository_stores_its_files_as_they_are():
    attributes = ROOT / ".gitattributes"
    assert not attributes.exists() or "filter=lfs" not in attributes.read_text()


def test_it_is_small_and_holds_what_it_needs(space: Path, files: list[Path]):
    assert sum(path.stat().st_size for path in files) < ROOM / 100
    front = RepoCard((space / "README.md").read_text(encoding="utf-8")).data.to_dict()
    assert (space / front["app_file"]).is_file()
    assert not (space / "packages.txt").exists()  # no system package is needed
    assert not [path for path in files if "__pycache__" in path.parts or path.suffix == ".pyc"]


def test_a_rebuilt_space_is_the_same_space(space: Path):
    front = RepoCard((space / "README.md").read_text(encoding="utf-8")).data.to_dict()
    locked = {
        r.name: r
        for line in (space / "requirements.txt").read_text().splitlines()
        if line and not line.startswith("#")
        for r in [Requirement(line)]
    }
    assert all([s.operator for s in r.specifier] == ["=="] for r in locked.values())
    wanted = [Requirement(line) for line in (ROOT / "requirements.txt").read_text().splitlines()]
    for requirement in wanted:
        name = re.sub(r"[-_.]+", "-", requirement.name)
        (exact,) = locked[name].specifier
        assert requirement.specifier.contains(exact.version), f"{requirement}: make lock"
    (torch,) = locked["torch"].specifier
    assert re.match(r"2\.(8|9|10|11)\.", torch.version), "not offered by ZeroGPU"
    assert locked["gradio"].specifier.contains(str(front["sdk_version"]))


def _wait(app: subprocess.Popen[bytes], url: str) -> Client:
    end = time.monotonic() + 150
    while True:
        try:
            return Client(url, verbose=False)
        except Exception:
            assert app.poll() is None, "the app ended"
            assert time.monotonic() < end, "the page did not come up"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def service() -> Service:
    return Service().start()


@pytest.fixture(scope="module")
def client(space: Path, service: Service) -> Iterator[Client]:
    for path in (space / "weights").glob("*.safetensors"):
        if path.stem not in KEPT:
            path.unlink()
    port = free_port()
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GRADIO_", "SPACES_", "FER_SPACE_"))}
    environment = kept | service.environment() | {"GRADIO_SERVER_PORT": str(port), "PYTHONPATH": str(space)}
    code = START.format(root=str(ROOT))
    app = subprocess.Popen([sys.executable, "-c", code], cwd=space, env=environment | {"PORT": ""})
    try:
        yield _wait(app, f"http://127.0.0.1:{port}")
    finally:
        app.send_signal(signal.SIGTERM)
        app.wait(timeout=30)


def test_it_starts_and_answers_with_one_lease(client: Client, service: Service):
    assert (service.started, service.leases) == (1, [])
    record = client.predict(
        handle_file(str(ROOT / "examples" / "astronaut.jpg")), occlude="surgical", api_name="/predict"
    )
    (face,) = record["faces"]
    assert set(face["backbones"]) == KEPT
    assert set(face["occluded"]["backbones"]) == KEPT
    assert len(service.leases) == 1


def test_a_quota_that_is_used_up_is_a_sentence(client: Client, service: Service):
    service.plan.append("quota")
    with pytest.raises(Exception, match="No GPU can be lent to you now"):
        client.predict(handle_file(str(ROOT / "examples" / "astronaut.jpg")), api_name="/predict")
