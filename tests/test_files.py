"""Files that are there as a whole, old or new, whatever happens."""

import os
from pathlib import Path

import pytest

from fer_space.errors import OutputError
from fer_space.files import replacing, sha256_of, write_text


def fail_while_writing(target: Path, failure: type[BaseException]) -> None:
    with replacing(target) as temporary:
        temporary.write_text("half of the n")
        raise failure


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path):
    target = tmp_path / "card.json"
    write_text(target, "old")
    for failure in (KeyboardInterrupt, RuntimeError):
        with pytest.raises(failure):
            fail_while_writing(target, failure)
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_folders_are_made_and_the_mode_follows_the_umask(tmp_path: Path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a" / "b.txt", "new")
    finally:
        os.umask(before)
    assert (tmp_path / "a" / "b.txt").stat().st_mode & 0o777 == 0o640


def test_a_place_that_takes_no_file_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"card\.json cannot be written"):
        write_text(tmp_path / "file" / "card.json", "text")


def test_sha256(tmp_path: Path):
    write_text(tmp_path / "empty", "")
    assert sha256_of(tmp_path / "empty").startswith("e3b0c44298fc1c149afb")
