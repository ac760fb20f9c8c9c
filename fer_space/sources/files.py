"""What `fer-space predict SOURCE` reads: files, folders, standard input and URLs, all within size limits."""

import sys
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from fer_space.errors import SourceError
from fer_space.sources.fetch import fetch_url
from fer_space.vision.imaging import MAX_BYTES

PICTURE_SUFFIXES = frozenset(
    (
        ".jpg",
        ".jpeg",
        ".jfif",
        ".png",
        ".webp",
        ".gif",
        ".bmp",
        ".tif",
        ".tiff",
        ".avif",
        ".ppm",
        ".pgm",
        ".jp2",
    )
)


def read_source(source: str) -> Iterator[tuple[str, bytes | SourceError]]:
    """Yield the name and the bytes of each picture that a source names, or why they cannot be read.

    Args:
        source: a file, a folder (its pictures by name, without sub-folders), "-" (standard input) or an
            http(s) URL.

    Yields:
        (name, bytes of one file) or (name, SourceError); a bad file does not stop the others.
    """
    try:
        files = None if source == "-" or "://" in source else _pictures(Path(source))
    except (OSError, ValueError) as error:
        yield source, SourceError(f"“{source}” cannot be read: {error}.")
        return
    if files is None:
        yield source, _attempt(source)
    elif not files:
        yield source, SourceError(f"The folder “{source}” holds no pictures.")
    for file in files or []:
        yield str(file), _attempt(str(file))


def _pictures(folder: Path) -> list[Path] | None:
    """Return the pictures of a folder by name, or None where there is no such folder."""
    if not folder.is_dir():
        return None
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in PICTURE_SUFFIXES)


def _attempt(source: str) -> bytes | SourceError:
    try:
        if source == "-" and sys.stdin is None:
            raise SourceError("There is no standard input to read.")
        if source == "-":
            return _within_limit(sys.stdin.buffer.read(MAX_BYTES + 1), "The standard input")
        return fetch_url(source) if "://" in source else _read_file(Path(source))
    except SourceError as error:
        return error
    except OSError as error:
        return SourceError(f"“{source}” cannot be read: {error.strerror or error}.")


def _read_file(file: Path) -> bytes:
    try:
        status = file.stat()
        if not S_ISREG(status.st_mode):
            raise SourceError(f"“{file}” is not a file.")
        if status.st_size > MAX_BYTES:
            raise SourceError(_too_large(f"“{file}”"))
        with file.open("rb") as stream:
            return _within_limit(stream.read(MAX_BYTES + 1), f"“{file}”")
    except FileNotFoundError as error:
        raise SourceError(f"There is no file “{file}”.") from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        raise SourceError(f"“{file}” cannot be read: {error}.") from error


def _within_limit(data: bytes, name: str) -> bytes:
    if len(data) > MAX_BYTES:
        raise SourceError(_too_large(name))
    return data


def _too_large(name: str) -> str:
    return f"{name} is too large: the limit is {MAX_BYTES // 1024**2} MB."
