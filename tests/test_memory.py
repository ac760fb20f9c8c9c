import ctypes
import subprocess
import sys
from types import SimpleNamespace

import pytest

from fer_space.memory import keep_freed_memory

PROBE = """
import resource, torch
from fer_space.memory import keep_freed_memory
if {kept}:
    assert keep_freed_memory()
torch.set_num_threads(1)
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(12_000_000) + 1.0  # above 32 MiB, the most that glibc learns to keep
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(not keep_freed_memory(), reason="only glibc since 2.35 has these options")
def test_freed_memory_is_used_again():
    """The kernel hands out far fewer pages for tensors that come and go."""

    def faults(kept: bool) -> int:
        words = [sys.executable, "-c", PROBE.format(kept=kept)]
        return int(subprocess.run(words, check=True, capture_output=True, text=True).stdout)

    assert faults(kept=True) < faults(kept=False) / 4


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory()


def test_where_the_first_option_is_refused_no_other_is_set(monkeypatch: pytest.MonkeyPatch):
    asked: list[int] = []
    old = SimpleNamespace(mallopt=lambda option, value: asked.append(option) or 0)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(ctypes, "CDLL", lambda name: old)
    assert not keep_freed_memory()
    assert len(asked) == 1
