"""Download one file to its place, whole or not at all.

The bytes go to a temporary folder beside it, and the file is moved when length and sha256 are right. The
address must begin with one of `ALLOWED`, and so must every redirect; proxies of the environment are used as
they are set.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
from huggingface_hub import constants
from tqdm import tqdm

from fer_space.errors import OutputError, SourceError
from fer_space.sources.web import Answer, Limits, opened

__all__ = ["ALLOWED", "Limits", "download"]

ALLOWED = ("https://raw.githubusercontent.com/", "https://media.githubusercontent.com/")


def download(
    url: str, path: Path, limits: Limits, *, sha256: str = "", allowed: Sequence[str] = ALLOWED
) -> str:
    """Download a file, with a progress bar on stderr; nothing is left of one that fails.

    Args:
        url: of the file.
        path: where it goes; a file that is there is replaced.
        limits: on size and time.
        sha256: that it must have, hexadecimal, or "" for any.
        allowed: beginnings of addresses, for the URL and for every redirect.

    Returns:
        Its sha256, hexadecimal.

    Raises:
        SourceError: there is no connection, the server does not answer as it should, or what it sends is
            too large, too slow, broken off, or not the file that is expected.
        OutputError: it cannot be written.
    """

    def check(address: httpx.URL | str) -> None:
        if not str(address).startswith(tuple(allowed)):
            raise SourceError(f"“{address}” is no address that models are fetched from.")

    check(url)
    if constants.HF_HUB_OFFLINE:
        raise SourceError(f"“{url}” is not fetched: HF_HUB_OFFLINE says that this machine is offline.")
    with fetching_into(path.parent) as folder:
        part = folder / path.name
        with httpx.Client() as client, opened(client, url, limits, check) as answer:
            try:
                digest = _save(answer, part)
            except OSError as error:  # of the disk: those of the connection are a SourceError by now
                raise OutputError(f"{path} cannot be written: {error.strerror or error}.") from error
        if sha256 and digest != sha256:
            raise SourceError(f"What “{url}” sent is not the file that is expected (sha256 {digest}).")
        part.replace(path)
    return digest


@contextmanager
def fetching_into(folder: Path) -> Iterator[Path]:
    """Give a temporary folder inside of another one, which is made; raises OutputError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix=".fetching-") as place:
            yield Path(place)
    except OSError as error:
        raise OutputError(f"“{folder}” cannot be written: {error.strerror or error}.") from error


def _save(answer: Answer, path: Path) -> str:
    """Write the body to a file; returns its sha256."""
    digest = hashlib.sha256()
    name = answer.url.partition("?")[0].rpartition("/")[2]
    bar = tqdm(desc=name, total=answer.size, unit="B", unit_scale=True, unit_divisor=1024)
    with bar, path.open("wb") as file:
        for chunk in answer.chunks:
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    return digest.hexdigest()
