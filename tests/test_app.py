"""`python app.py` as a newcomer starts it: the page comes up where the environment says, and tidies up."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.running import run

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("name", ["PORT", "GRADIO_SERVER_PORT"])
def test_page_comes_up_and_leaves_nothing_behind(name: str, tmp_path: Path):
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRADIO_")}
    environment |= {"PORT": "", "HOST": "", name: str(port), "TMPDIR": str(tmp_path)}
    app = subprocess.Popen([sys.executable, ROOT / "app.py"], cwd=tmp_path, env=environment)
    try:
        end = time.monotonic() + 120
        while True:
            try:
                with urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
                    assert b"FER Space" in answer.read()
                break
            except (URLError, OSError):
                assert app.poll() is None, "the app ended"
                assert time.monotonic() < end, "the page did not come up"
                time.sleep(0.3)
        assert list(tmp_path.glob("fer-space-*"))
    finally:
        app.send_signal(signal.SIGTERM)
        app.wait(timeout=30)
    assert not list(tmp_path.glob("fer-space-*"))


def test_a_busy_port_is_said_at_once(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, "HOST": "127.0.0.1", "PORT": str(taken.getsockname()[1])}
        started = time.monotonic()
        app = subprocess.run(
            [sys.executable, ROOT / "app.py"], env=environment, capture_output=True, text=True, timeout=60
        )
    assert app.returncode == 2
    assert "cannot be served" in app.stderr
    assert "Traceback" not in app.stderr
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("port", ["99999", "-1", "0", "x"])
def test_a_port_of_the_command_line_is_checked(port: str, capsys: pytest.CaptureFixture[str]):
    run("app", f"--port={port}", status=2)
    assert f"“{port}” is no port" in capsys.readouterr().err


def test_a_port_that_is_none_is_a_sentence():
    app = subprocess.run(
        [sys.executable, ROOT / "app.py"],
        env={**os.environ, "PORT": "abc"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert app.returncode != 0
    assert "“abc” is no port" in app.stderr
    assert "Traceback" not in app.stderr
