"""Files that several readers open: archives, pictures in a folder, tables."""

import codecs
import csv
import io
import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fer_space.errors import DataError
from fer_space.sources.pictures import has_picture_name, is_picture_file

SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

Cells = dict[str, str] | DataError  # a row of a table: what its columns hold, or why it cannot be read


def read_archive(archive: Path) -> dict[str, bytes]:
    """All files of a .tar by base name.

    Raises:
        DataError: it is missing or damaged, or two of its folders hold files of one name.
    """
    members = read_members(archive)
    _refuse_namesakes(archive.name, members)
    return {Path(name).name: content for name, content in members.items()}


def read_members(archive: Path) -> dict[str, bytes]:
    """All files of a .tar by their path in it.

    Raises:
        DataError: it is missing or damaged.
    """
    if not archive.is_file():
        raise DataError(f"There is no {archive.name} in {archive.parent}.")
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.isfile()]
            return {m.name: file.read() for m in members if (file := tar.extractfile(m))}
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive} is damaged: {error}.") from error


def _refuse_namesakes(archive: str, names: Iterable[str]) -> None:
    """Raise DataError where files of two folders have one name (a file written twice is no such case)."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(Path(name).name, name)
        if other != name:
            raise DataError(f"{archive} holds two files of one name: {other} and {name}.")


def visible(folder: Path) -> list[Path]:
    """What is in a folder by name, without hidden files; nothing where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def is_picture(path: Path) -> bool:
    """Whether a file's name ends like that of a picture format that is read."""
    return has_picture_name(path.name)


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder by name; none where there is no such folder."""
    return [path for path in visible(folder) if is_picture_file(path)]


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder by name, without hidden ones; none where there is no such folder."""
    return [path for path in visible(folder) if path.is_dir()]


def count_files(folder: Path) -> int:
    """How many files are in a folder and below it, without hidden ones."""
    count = 0
    for _, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        count += sum(not name.startswith(".") for name in files)
    return count


def place_of(folder: Path, name: str) -> Path:
    """Where a file lies that a table names by its path from a folder, written here or on Windows."""
    path = folder / name
    return path if "\\" not in name or path.exists() else folder / name.replace("\\", "/")


def read_text(file: Path) -> str:
    """A text file in UTF-8; raises DataError when it is missing or no such text."""
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    content = file.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content[:1024]:
        raise DataError(f"{file.name} is in UTF-16: save it as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not a text file in UTF-8.") from error


def parse_table(
    text: str | Iterable[str], name: str, needs: Iterable[str]
) -> tuple[list[str], Iterator[tuple[int, Cells]]]:
    """Column names in lower case, and rows as (line, cells), of a CSV with a header (a text, or its lines).

    Raises:
        DataError: a column of `needs` is not there, or (while reading) the file is no text.
    """
    rows = parse_lines(text, name)
    _, header = next(rows, (1, []))
    if isinstance(header, DataError):
        raise DataError(f"{name} has no usable header: {header}.")
    columns = [column.strip().lower() for column in header]
    if missing := [column for column in needs if column not in columns]:
        for mark, word in SEPARATORS.items():
            if len(columns) < 2 and mark in ",".join(columns):
                raise DataError(f"{name} has {word} between its columns: save it with commas.")
        raise DataError(f"{name} needs a column “{missing[0]}”.")
    return columns, ((line, _named(columns, cells)) for line, cells in rows)


def _named(columns: list[str], cells: list[str] | DataError) -> Cells:
    """Column -> cell, without the spaces around it; a cell that is not there is blank."""
    if isinstance(cells, DataError):
        return cells
    blanks = [""] * (len(columns) - len(cells))
    return {column: cell.strip() for column, cell in zip(columns, cells + blanks, strict=False)}


def parse_lines(text: str | Iterable[str], name: str) -> Iterator[tuple[int, list[str] | DataError]]:
    """Rows of a CSV as (line, cells), or why a row cannot be read; blank lines are skipped.

    A row is one line: a quotation mark that is not closed in it costs this row, and not those that follow.

    Raises:
        DataError: the file is no text.
    """
    lines = io.StringIO(text, newline="") if isinstance(text, str) else text
    try:
        for line, content in enumerate(lines, start=1):
            if content.strip():
                yield line, _cells(content.rstrip("\r\n"))
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not a text file in UTF-8.") from error


def _cells(content: str) -> list[str] | DataError:
    try:
        cells = next(csv.reader([content + "\n"]))
    except csv.Error as error:
        return DataError(str(error))
    if "\n" in cells[-1]:
        return DataError("a quotation mark is not closed on its line")
    return cells


def parse_number(cells: dict[str, str], column: str, blank: float) -> float:
    """The number in a cell, `blank` where it is empty or not there; raises DataError where it is none."""
    text = cells.get(column, "")
    try:
        return float(text) if text else blank
    except ValueError:
        hint = "; write a point before the decimals" if "," in text else ""
        raise DataError(f"its {column} is “{text}”, not a number{hint}") from None
