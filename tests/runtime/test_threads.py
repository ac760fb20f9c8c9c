"""The one rule for threads."""

import threading
import time
from pathlib import Path

import pytest
import torch

from fer_space.runtime.threads import cores, keep_to_cores, turn


@pytest.mark.parametrize(
    ("content", "count"), [("100000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("rubbish", None)]
)
def test_a_container_counts_its_quota(content: str, count: int | None, tmp_path: Path):
    quota = tmp_path / "cpu.max"
    quota.write_text(content)
    assert cores(quota) == (cores(tmp_path / "none") if count is None else count)


def test_torch_keeps_to_the_cores(monkeypatch: pytest.MonkeyPatch):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(cores() + 3)
        keep_to_cores()
        assert torch.get_num_threads() == cores()
        torch.set_num_threads(1)
        keep_to_cores()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_one_thing_at_a_time():
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(10):
            with turn(), turn():
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)  # others run meanwhile
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
