"""Files that are there as a whole, old or new, whatever happens."""

import ast
import os
from pathlib import Path

import pytest

import fer_space
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


# What writes to a place of its own that nobody else looks at, or is the temporary file of somebody's caller.
OWN_PLACES = {
    "files.py": "this is it",
    "external/pack.py": "unpacks into a temporary folder and moves what is whole",
    "external/download.py": "downloads into a temporary folder and moves what is whole",
    "training/parallel.py": "hands a job to child processes in a temporary folder",
    "ui/folders.py": "a lock",
}
WRITERS = {"write_text", "write_bytes", "savefig", "save_file", "imwrite", "to_csv", "to_parquet"}


def test_every_file_is_written_under_a_temporary_name():
    """A call that writes stands in a `with replacing(…) as temporary`, or writes to a buffer in memory."""
    package = Path(fer_space.__file__).parent
    wrong = []
    for path in package.rglob("*.py"):
        if str(path.relative_to(package)) in OWN_PLACES:
            continue
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            opens = name == "open" and any(
                isinstance(word, ast.Constant) and str(word.value)[:1] in "wax" and len(str(word.value)) <= 3
                for word in call.args
            )
            place = ast.unparse(call)
            ours = name == "write_text" and isinstance(call.func, ast.Name)  # `fer_space.files.write_text`
            if (name in WRITERS or opens) and not ours and "temporary" not in place:
                wrong.append(f"{path.name}:{call.lineno}: {place}")
    assert not wrong
