"""Fetching a picture from the web without letting the address lead into the private network.

A host name is resolved once, every address it has is checked, and the connection goes to a checked address
itself, so that a second look-up cannot answer differently (DNS rebinding); TLS and the Host header still go
by the name. Each redirect is checked alike. Proxies of the environment are not used. Time and size are
limited over the whole fetch.
"""

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from queue import Empty, SimpleQueue
from ssl import SSLContext
from threading import Thread
from time import monotonic
from typing import Any

import httpcore
import httpx

from fer_space.errors import SourceError
from fer_space.sources.web import Limits, opened
from fer_space.vision.imaging import MAX_BYTES

MAX_SECONDS = 15.0

Address = IPv4Address | IPv6Address

# Special-purpose ranges of the IANA registries that `is_global` of older Pythons takes for public ones.
_SPECIAL = tuple(
    map(
        ip_network,
        ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b::/48", "64:ff9b:1::/48", "3fff::/20", "5f00::/16"),
    )
)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also when it wraps an IPv4 address."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address.sixtofour or address.teredo or address.is_site_local:
            return False
    if any(address in network for network in _SPECIAL):
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
    """Return what an http(s) URL answers, following a few redirects.

    Args:
        url: http or https, without a user name or password.
        policy: where it may go; by default to public addresses alone.

    Raises:
        SourceError: the URL is malformed, carries a password, leads to an address that `policy` does not
            allow, or does not answer 200 within the limits.
    """
    policy = policy or FetchPolicy()
    limits = Limits(policy.max_bytes, policy.max_seconds, policy.max_seconds)
    network = _CheckedNetwork(policy, monotonic() + policy.max_seconds)
    with (
        httpx.Client(transport=_Transport(network), trust_env=False) as client,
        opened(client, url, limits, _check) as answer,
    ):
        return b"".join(answer.chunks)


def _check(url: httpx.URL) -> None:
    if url.scheme not in ("http", "https") or not url.host:
        raise SourceError(f"“{url}” is not an http or https address.")
    if url.port is not None and url.port > 65_535:
        raise SourceError(f"“{url}” names a port that does not exist.")
    if url.userinfo:
        raise SourceError("A URL with a user name or password in it is not fetched.")
    url.host.encode("idna")  # refuses labels that are too long, which would reach the resolver


class _Transport(httpx.HTTPTransport):
    """httpx's own transport over a network of ours."""

    def __init__(self, network: httpcore.NetworkBackend) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=httpx.create_ssl_context(), network_backend=network)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Looks a name up once, checks all of its addresses and connects to one of them, until a deadline."""

    def __init__(self, policy: FetchPolicy, deadline: float) -> None:
        self._policy = policy
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._look_up(host, port)
        if not addresses or not all(self._policy.allows(address) for address in addresses):
            raise SourceError(f"“{host}” is not a public address; only those are fetched.")
        for address in addresses:
            try:
                stream = self._backend.connect_tcp(
                    str(address), port, _left(self._deadline), None, socket_options
                )
                return _TimedStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _look_up(self, host: str, port: int) -> list[Address]:
        """Resolve the host before the deadline; raises ConnectError, or TimeoutError where it is over.

        The system's look-up cannot be cut short: it runs in a thread that ends by itself when nobody waits.
        """
        answers: SimpleQueue[list[Address] | Exception] = SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._policy.resolve(host, port))
            except Exception as error:  # also UnicodeError and ValueError, for names that are none
                answers.put(error)

        Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=_left(self._deadline))
        except Empty:
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise httpcore.ConnectError(str(answer)) from answer
        return answer


class _TimedStream(httpcore.NetworkStream):
    """A stream with one deadline for all reads and writes together, however slowly the bytes drip."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._deadline))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, _left(self._deadline))
        return _TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(deadline: float) -> float:
    """Return the seconds left; raises TimeoutError when there are none."""
    seconds = deadline - monotonic()
    if seconds <= 0.0:
        raise TimeoutError
    return seconds
