"""The child that converts ends with the process that wanted it."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fer_space.runtime import conversion

SCRIPT = """
import sys
from pathlib import Path
from threading import Thread
from fer_space.runtime import conversion

class Sleeper(conversion.subprocess.Popen):
    def __init__(self, command, **options):
        child = "import os, time; print(f'{os.getpid()}: torch', flush=True); time.sleep(60)"
        super().__init__([sys.executable, "-c", child], **options)

def follow():
    for name in conversion.converting(Path(".")):
        print(name, flush=True)

conversion.subprocess.Popen = Sleeper
Thread(target=follow, daemon=True).start()
sys.stdin.readline()
"""


def test_models_of_the_hub_are_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    child = subprocess.Popen
    said = "print('dan: openvino'); print('hub:somebody/faces: openvino')"
    monkeypatch.setattr(
        conversion.subprocess, "Popen", lambda command, **how: child([sys.executable, "-c", said], **how)
    )
    assert list(conversion.converting(tmp_path)) == ["dan", "hub:somebody/faces"]


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_the_child_ends_with_the_process():
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        child = int(process.stdout.readline())
        assert is_running(child)
        process.communicate("\n", timeout=60)
    end = time.monotonic() + 20
    while is_running(child) and time.monotonic() < end:
        time.sleep(0.05)
    assert not is_running(child)


def test_a_child_that_fails_is_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    child = subprocess.Popen
    monkeypatch.setattr(
        conversion.subprocess,
        "Popen",
        lambda command, **how: child([sys.executable, "-c", "import fer_space; raise SystemExit(1)"], **how),
    )
    assert list(conversion.converting(tmp_path)) == []
    assert "were not converted" in caplog.text
