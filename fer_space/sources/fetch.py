"""Fetching a picture from the web without letting the address lead into the private network.

A host name is resolved once, every address it has is checked, and the connection goes to a checked address
itself, so that a second look-up cannot answer differently (DNS rebinding). Each redirect is checked alike.
Proxies of the environment are not used. Time and size are limited over the whole fetch.
"""

import io
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic
from typing import Any, cast
from urllib.parse import quote, urljoin, urlsplit

from fer_space.errors import SourceError
from fer_space.vision.imaging import MAX_BYTES

MAX_REDIRECTS = 5
MAX_SECONDS = 15.0

Address = IPv4Address | IPv6Address

_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 64 * 1024
_NAT64 = ip_network("64:ff9b::/96")


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it wraps an IPv4 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour or address.teredo or address in _NAT64 or address.is_site_local:
            return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def resolve(host: str, port: int) -> list[Address]:
    """Return every address of a host name. Raises OSError where it has none."""
    infos = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(info[4][0])) for info in infos]


@dataclass(frozen=True)
class FetchPolicy:
    """Where a fetch may go and how long it may take.

    Attributes:
        allows: whether an address may be connected to.
        resolve: returns every address of (host, port); raises OSError where there is none.
        max_bytes: size limit of the answer.
        max_seconds: limit for name look-ups, redirects and the answer together.
    """

    allows: Callable[[Address], bool] = is_public
    resolve: Callable[[str, int], list[Address]] = resolve
    max_bytes: int = MAX_BYTES
    max_seconds: float = MAX_SECONDS


def fetch_url(url: str, policy: FetchPolicy | None = None) -> bytes:
    """Return what an http(s) URL answers, following at most MAX_REDIRECTS redirects.

    Raises:
        SourceError: the URL is malformed, carries a password, leads to an address that `policy` does not
            allow, or does not answer 200 within the limits.
    """
    policy = policy or FetchPolicy()
    deadline = monotonic() + policy.max_seconds
    for _ in range(MAX_REDIRECTS + 1):
        try:
            answer = _fetch_once(_Target.parse(url), policy, deadline)
        except TimeoutError as error:
            raise SourceError(f"“{url}” took longer than {policy.max_seconds:g} seconds.") from error
        except (OSError, HTTPException) as error:
            raise SourceError(f"“{url}” cannot be fetched: {error or type(error).__name__}.") from error
        if isinstance(answer, bytes):
            return answer
        try:
            url = urljoin(url, answer)
        except ValueError as error:
            raise SourceError(f"“{url}” redirects to “{answer}”, which is not a URL.") from error
    raise SourceError(f"“{url}” redirects more than {MAX_REDIRECTS} times.")


@dataclass(frozen=True)
class _Target:
    """The parts of a checked URL."""

    secure: bool
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "_Target":
        try:
            parts = urlsplit(url)
            host = (parts.hostname or "").encode("idna").decode()
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as error:
            raise SourceError(f"“{url}” is not a URL.") from error
        if parts.scheme not in ("http", "https") or not host:
            raise SourceError(f"“{url}” is not an http or https address.")
        if parts.username is not None or parts.password is not None:
            raise SourceError("A URL with a user name or password in it is not fetched.")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
        query = "?" + quote(parts.query, safe="/?%:@!$&'()*+,;=~") if parts.query else ""
        return cls(parts.scheme == "https", host, port, path + query)


def _fetch_once(target: _Target, policy: FetchPolicy, deadline: float) -> bytes | str:
    """Return the body, or the location that the answer redirects to."""
    addresses = _look_up(target, policy, deadline)
    if not addresses or not all(policy.allows(address) for address in addresses):
        raise SourceError(f"“{target.host}” is not a public address; only those are fetched.")
    kind = HTTPSConnection if target.secure else HTTPConnection
    connection = kind(target.host, target.port)
    with _connect(target, addresses, deadline) as plain:
        connection.sock = cast(socket.socket, _TimedSocket(plain, deadline))
        connection.request("GET", target.path, headers={"User-Agent": "fer-space", "Accept": "image/*"})
        return _read_answer(connection.getresponse(), target, policy.max_bytes)


def _look_up(target: _Target, policy: FetchPolicy, deadline: float) -> list[Address]:
    """Resolve the host before the deadline. Raises OSError, or TimeoutError when there is no answer yet.

    The system's look-up cannot be cut short: it runs in a thread that ends by itself when nobody waits.
    """
    answers: SimpleQueue[list[Address] | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            answers.put(policy.resolve(target.host, target.port))
        except OSError as error:
            answers.put(error)

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=_left(deadline))
    except Empty:
        raise TimeoutError from None
    if isinstance(answer, OSError):
        raise answer
    return answer


def _connect(target: _Target, addresses: list[Address], deadline: float) -> socket.socket:
    """Connect to the first address that answers. Raises OSError when none does."""
    failure: OSError = OSError("no address")
    for address in addresses:
        try:
            plain = socket.create_connection((str(address), target.port), timeout=_left(deadline))
        except OSError as error:
            failure = error
            continue
        if not target.secure:
            return plain
        plain.settimeout(_left(deadline))
        return ssl.create_default_context().wrap_socket(plain, server_hostname=target.host)
    raise failure


def _read_answer(response: HTTPResponse, target: _Target, max_bytes: int) -> bytes | str:
    location = response.getheader("Location")
    if response.status in _REDIRECTS and location:
        return location
    if response.status != 200:
        raise SourceError(f"“{target.host}” answered {response.status} {response.reason}.")
    body = bytearray()
    while chunk := response.read(_CHUNK):
        body += chunk
        if len(body) > max_bytes:
            raise SourceError(f"“{target.host}” sent more than the limit of {max_bytes // 1024**2} MB.")
    if response.length:
        raise SourceError(f"“{target.host}” broke off {response.length} bytes before the end.")
    return bytes(body)


def _left(deadline: float) -> float:
    """Return the seconds left; raises TimeoutError when there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0.0:
        raise TimeoutError
    return seconds


class _TimedSocket:
    """The part of a socket that http.client uses, with one deadline for all reads and writes together."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(_left(self._deadline))
        self._sock.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._sock, self._deadline))

    def close(self) -> None:
        """Leave the socket open: http.client calls this before the body is read. Its owner closes it."""


class _TimedReader(io.RawIOBase):
    """Reads a socket until the deadline, however slowly the bytes drip."""

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._deadline))
        return self._sock.recv_into(buffer)
