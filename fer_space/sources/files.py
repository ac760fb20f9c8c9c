"""What `fer-space predict SOURCE` reads: files, folders, standard input and URLs, all within size limits."""

import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from fer_space.errors import InputError, SourceError
from fer_space.sources.pictures import pictures_below
from fer_space.vision.imaging import MAX_BYTES, read_file


def as_text(name: str) -> str:
    r"""Write a file's name so that any text can hold it: what is no UTF-8 in it becomes \udc and two digits.

    Example:
        >>> print(as_text("caf\udce9.jpg"))
        caf\udce9.jpg
    """
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def read_source(source: str, done: Collection[str] = ()) -> Iterator[tuple[str, bytes | InputError]]:
    """Yield the name and the bytes of each picture that a source names, or why they cannot be read.

    What a folder holds beside pictures is counted in one line on stderr.

    Args:
        source: a file, a folder (its pictures and those of its sub-folders, by `sources.pictures`), "-"
            (standard input) or an http(s) URL.
        done: names that are left out, and not read.

    Yields:
        (name as text, bytes of one file) or (name, InputError); a bad file does not stop the others.
    """
    if as_text(source) in done:
        return
    if source == "-" or "://" in source:
        yield as_text(source), _attempt(source)
        return
    try:
        is_folder = source != "" and Path(source).is_dir()
    except (OSError, ValueError):  # a name that is too long, or holds a null character
        is_folder = False
    if is_folder:
        yield from _read_folder(source, done)
    else:
        yield as_text(source), _attempt(source)


def names_in(source: str) -> list[str]:
    """Name the pictures that `read_source` would read, without reading them, as they are on disk.

    A bad source, or a folder in it that cannot be listed, names itself.
    """
    try:
        if "://" not in source and source and Path(source).is_dir():
            closed: list[OSError] = []
            pictures = pictures_below(Path(source), closed.append)[0]
            return [*map(str, pictures), *(str(error.filename) for error in closed)] or [source]
    except (OSError, ValueError):
        pass
    return [source]


def _read_folder(source: str, done: Collection[str]) -> Iterator[tuple[str, bytes | InputError]]:
    failures: list[OSError] = []
    pictures, others = pictures_below(Path(source), failures.append)
    for failure in failures:
        name = as_text(str(failure.filename))
        if name not in done:
            yield name, SourceError(f"“{name}” cannot be read: {failure.strerror}.")
    if others:
        files = "file is" if others == 1 else "files are"
        print(f"fer-space: {source}: {others} {files} left out, as no pictures", file=sys.stderr)
    if not pictures and not failures:
        yield as_text(source), SourceError(f"The folder “{source}” holds no pictures.")
    for file in map(str, pictures):
        if as_text(file) not in done:
            yield as_text(file), _attempt(file)


def _attempt(source: str) -> bytes | InputError:
    try:
        if source == "-":
            return _standard_input()
        if "://" in source:
            from fer_space.sources.fetch import fetch_url  # its libraries take a while to import

            return fetch_url(source)
        return read_file(Path(source))
    except InputError as error:
        return error
    except Exception as error:  # whatever a source does, the remaining ones are still read
        return SourceError(f"“{source}” cannot be read: {error or type(error).__name__}.")


def _standard_input() -> bytes:
    if sys.stdin is None:
        raise SourceError("There is no standard input to read.")
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise SourceError(f"The standard input is too large: the limit is {MAX_BYTES // 1024**2} MB.")
    return data
