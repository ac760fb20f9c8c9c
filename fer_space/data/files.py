"""Files that several readers open: archives, pictures in a folder, tables."""

import csv
import io
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from fer_space.errors import DataError
from fer_space.sources import PICTURE_SUFFIXES


def read_archive(archive: Path) -> dict[str, bytes]:
    """All files of a .tar by base name; raises DataError when it is missing or damaged."""
    if not archive.is_file():
        raise DataError(f"There is no {archive.name} in {archive.parent}.")
    try:
        with tarfile.open(archive) as tar:
            members = [member for member in tar if member.isfile()]
            return {Path(m.name).name: file.read() for m in members if (file := tar.extractfile(m))}
    except (tarfile.TarError, EOFError) as error:
        raise DataError(f"{archive} is damaged: {error}.") from error


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder by name; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in PICTURE_SUFFIXES and not path.name.startswith(".")
    )


def sub_folders(folder: Path) -> list[Path]:
    """The folders in a folder by name, without hidden ones; none where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def read_text(file: Path) -> str:
    """A text file in UTF-8; raises DataError when it is missing or no such text."""
    if not file.is_file():
        raise DataError(f"There is no file {file}.")
    try:
        return file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{file.name} is not a text file in UTF-8.") from error


def parse_table(
    text: str | Iterable[str], name: str, needs: Iterable[str]
) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV with a header (a text, or its lines) as (line, cells); column names in lower case.

    Raises:
        DataError: a column of `needs` is not there, or the file cannot be parsed.
    """
    lines = io.StringIO(text, newline="") if isinstance(text, str) else text
    reader = csv.DictReader(lines, restval="")
    try:
        columns = [column.strip().lower() for column in reader.fieldnames or ()]
        if missing := [column for column in needs if column not in columns]:
            raise DataError(f"{name} needs a column “{missing[0]}”.")
        reader.fieldnames = columns
        for cells in reader:
            yield (
                reader.line_num,
                {key: value.strip() for key, value in cells.items() if isinstance(key, str)},
            )
    except csv.Error as error:
        raise DataError(f"{name}, line {reader.line_num}: {error}.") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{name} is not a text file in UTF-8.") from error


def parse_number(cells: dict[str, str], column: str, blank: float) -> float:
    """The number in a cell, `blank` where it is empty or not there; raises DataError where it is none."""
    text = cells.get(column, "")
    try:
        return float(text) if text else blank
    except ValueError:
        raise DataError(f"its {column} is “{text}”, not a number") from None
