"""What every download here has in common: checked redirects, limits that hold, errors that are sentences.

Pictures of visitors (`fer_space.sources.fetch`) and models (`fer_space.external.download`) come through this.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic

import httpx

from fer_space.errors import SourceError

MAX_REDIRECTS = 5
HEADERS = {"User-Agent": "fer-space", "Accept": "*/*", "Accept-Encoding": "identity"}

_NUMBER = re.compile(r"^\[Errno -?\d+\]\s*")


@dataclass(frozen=True)
class Limits:
    """What a download may take.

    Attributes:
        max_bytes: of the body.
        silence: seconds to wait for a connection or for the next bytes.
        seconds: for all of it, redirects included.
    """

    max_bytes: int
    silence: float = 20.0
    seconds: float = 1800.0


@dataclass(frozen=True)
class Answer:
    """An answer of status 200 whose body has not been read yet.

    Attributes:
        url: where it came from, after the redirects.
        size: bytes of the body as announced, or None.
        chunks: the body, piece by piece; raises SourceError where it breaks a limit or breaks off.
    """

    url: str
    size: int | None
    chunks: Iterator[bytes]


@contextmanager
def opened(
    client: httpx.Client, url: str, limits: Limits, check: Callable[[httpx.URL], None]
) -> Iterator[Answer]:
    """Ask for a URL and follow its redirects, each of them checked.

    Args:
        client: asks; it must not follow redirects by itself.
        url: http or https.
        limits: on size and time.
        check: raises SourceError for an address that must not be asked.

    Raises:
        SourceError: the address is malformed or refused, does not answer 200, or breaks a limit.
    """
    deadline = monotonic() + limits.seconds
    with _sentences(url, limits, deadline):
        target = httpx.URL(url)
        for _ in range(MAX_REDIRECTS + 1):
            check(target)
            with client.stream("GET", target, headers=HEADERS, timeout=limits.silence) as response:
                if response.has_redirect_location:
                    target = target.join(response.headers["Location"])
                    continue
                if response.status_code != HTTPStatus.OK:
                    raise SourceError(f"“{target}” answered {_status(response.status_code)}.")
                size = _announced(response)
                if size is not None and size > limits.max_bytes:
                    raise _too_large(url, limits)
                yield Answer(str(target), size, _chunks(response, url, limits, deadline))
                return
    raise SourceError(f"“{url}” redirects more than {MAX_REDIRECTS} times.")


def _chunks(response: httpx.Response, url: str, limits: Limits, deadline: float) -> Iterator[bytes]:
    """The body as it comes, never unpacked: a few bytes that unpack to gigabytes stay a few bytes."""
    size, announced = 0, _announced(response)
    with _sentences(url, limits, deadline):
        try:
            for chunk in response.iter_raw():
                size += len(chunk)
                if size > limits.max_bytes:
                    raise _too_large(url, limits)
                if monotonic() > deadline:
                    raise TimeoutError
                yield chunk
        except httpx.RemoteProtocolError as error:
            if announced is None or size >= announced:
                raise
            raise SourceError(f"“{url}” broke off {announced - size} bytes before the end.") from error


@contextmanager
def _sentences(url: str, limits: Limits, deadline: float) -> Iterator[None]:
    """Turn what a download may raise into a SourceError; what the other side wrote is no part of it."""
    try:
        yield
    except SourceError:
        raise
    except (httpx.TimeoutException, TimeoutError) as error:
        if limits.silence >= limits.seconds or monotonic() >= deadline:
            raise SourceError(f"“{url}” took longer than {limits.seconds:g} seconds.") from error
        raise SourceError(f"“{url}” did not answer for {limits.silence:g} seconds.") from error
    except httpx.ConnectError as error:
        raise SourceError(f"“{url}” cannot be reached: {_reason(error)}.") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
        raise SourceError(f"“{url}”, or what it redirects to, is not a URL.") from error
    except (httpx.HTTPError, httpx.StreamError, OSError, ValueError) as error:
        raise SourceError(f"“{url}” cannot be fetched: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    """One printable line of an exception's message, without the system's number of it."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    line = _NUMBER.sub("", line) or type(error).__name__
    return "".join(letter for letter in line if letter.isprintable()).rstrip(".")


def _status(code: int) -> str:
    """A status in the standard's own words: the server's may hold anything."""
    known = code in HTTPStatus._value2member_map_
    return f"{code} {HTTPStatus(code).phrase}" if known else str(code)


def _announced(response: httpx.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdecimal() else None


def _too_large(url: str, limits: Limits) -> SourceError:
    return SourceError(f"“{url}” is larger than the limit of {limits.max_bytes / 1024**2:.3g} MB.")
