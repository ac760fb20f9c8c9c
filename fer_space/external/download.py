"""Download one file to its place, whole or not at all.

The bytes go to a temporary folder beside it, and the file is moved when length and sha256 are right. The
address and every redirect must begin with one of `ALLOWED`; proxies of the environment are used as they are
set.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, OpenerDirector, Request, build_opener

from huggingface_hub import constants
from tqdm import tqdm

from fer_space.errors import SourceError

ALLOWED = ("https://raw.githubusercontent.com/", "https://media.githubusercontent.com/")

_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Limits:
    """What a download may take.

    Attributes:
        max_bytes: of the file.
        silence: seconds to wait for a connection or for the next bytes.
        seconds: for the whole file.
    """

    max_bytes: int
    silence: float = 20.0
    seconds: float = 1800.0


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
    """
    _check(url, allowed)
    if constants.HF_HUB_OFFLINE:
        raise SourceError(f"“{url}” is not fetched: HF_HUB_OFFLINE says that this machine is offline.")
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = monotonic() + limits.seconds
    with TemporaryDirectory(dir=path.parent, prefix=".fetching-") as folder:
        part = Path(folder) / path.name
        with _opened(url, limits, allowed) as response, part.open("wb") as file:
            digest = _save(response, url, file, limits, deadline)
        if sha256 and digest != sha256:
            raise SourceError(f"What “{url}” sent is not the file that is expected (sha256 {digest}).")
        part.replace(path)
    return digest


def _check(url: str, allowed: Sequence[str]) -> None:
    if not url.startswith(tuple(allowed)):
        raise SourceError(f"“{url}” is no address that models are fetched from.")


class _Redirects(HTTPRedirectHandler):
    """Follows a redirect only where `_check` lets it."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = allowed

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        try:
            _check(newurl, self._allowed)
        except SourceError:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opened(url: str, limits: Limits, allowed: Sequence[str]) -> HTTPResponse:
    opener: OpenerDirector = build_opener(_Redirects(allowed))
    request = Request(url, headers={"User-Agent": "fer-space", "Accept-Encoding": "identity"})
    try:
        response: HTTPResponse = opener.open(request, timeout=limits.silence)
    except HTTPError as error:
        error.close()
        raise SourceError(f"“{url}” answered {error.code} {error.reason}.") from error
    except TimeoutError as error:
        raise _silent(url, limits) from error
    except URLError as error:
        if isinstance(error.reason, TimeoutError):
            raise _silent(url, limits) from error
        host = urlsplit(url).netloc
        raise SourceError(
            f"“{host}” cannot be reached ({error.reason}): fetching a model needs the internet."
        ) from error
    except (OSError, HTTPException) as error:
        raise SourceError(f"“{url}” cannot be fetched: {error or type(error).__name__}.") from error
    return response


def _save(response: HTTPResponse, url: str, file: IO[bytes], limits: Limits, deadline: float) -> str:
    """Write the body to `file`; returns its sha256."""
    announced = response.length
    if announced is not None and announced > limits.max_bytes:
        raise _too_large(url, limits)
    digest, size = hashlib.sha256(), 0
    name = url.rpartition("/")[2]
    with tqdm(desc=name, total=announced, unit="B", unit_scale=True, unit_divisor=1024) as bar:
        for chunk in _chunks(response, url, limits):
            size += len(chunk)
            if size > limits.max_bytes:
                raise _too_large(url, limits)
            if monotonic() > deadline:
                raise SourceError(f"“{url}” took longer than {limits.seconds:g} seconds.")
            file.write(chunk)
            digest.update(chunk)
            bar.update(len(chunk))
    if announced is not None and size < announced:
        raise SourceError(f"“{url}” broke off {announced - size} bytes before the end.")
    return digest.hexdigest()


def _chunks(response: HTTPResponse, url: str, limits: Limits) -> Iterator[bytes]:
    """The body as it comes; `read1` returns what is there, so that the deadline is looked at often."""
    while True:
        try:
            chunk = response.read1(_CHUNK)
        except TimeoutError as error:
            raise _silent(url, limits) from error
        except (OSError, HTTPException) as error:
            raise SourceError(f"“{url}” broke off: {error or type(error).__name__}.") from error
        if not chunk:
            return
        yield chunk


def _too_large(url: str, limits: Limits) -> SourceError:
    return SourceError(f"“{url}” is larger than the limit of {limits.max_bytes / 1e6:g} MB.")


def _silent(url: str, limits: Limits) -> SourceError:
    return SourceError(f"“{url}” did not answer for {limits.silence:g} seconds.")
