"""Fetching, against a server on the loopback and made-up resolvers."""

import contextlib
import gzip
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest

from fer_space.errors import SourceError
from fer_space.sources import fetch as fetching
from fer_space.sources.fetch import FetchPolicy, fetch_url, is_public

BODY = b"the picture"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        getattr(self, "answer_" + self.path.strip("/").split("?")[0].split("/")[0])()

    def reply(self, status: int, body: bytes = b"", length: int | None = None, location: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        if location:
            self.send_header("Location", location)
        self.end_headers()
        self.wfile.write(body)

    def answer_picture(self) -> None:
        self.reply(200, BODY)

    def answer_host(self) -> None:
        self.reply(200, self.headers["Host"].encode())

    def answer_echo(self) -> None:
        self.reply(200, self.path.encode())

    def answer_missing(self) -> None:
        self.reply(404)

    def answer_moved(self) -> None:
        self.reply(302, location="/picture")

    def answer_circle(self) -> None:
        self.reply(302, location="/circle")

    def answer_away(self) -> None:
        self.reply(302, location=self.path.partition("?")[2])

    def answer_large(self) -> None:
        self.reply(200, bytes(5000))

    def answer_short(self) -> None:
        self.reply(200, BODY, length=500)

    def answer_drip(self) -> None:
        """One byte of the body every 50 ms, which no time limit for single reads would notice."""
        self.send_response(200)
        self.end_headers()
        self.drip()

    def answer_slowheaders(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        self.drip()

    def drip(self) -> None:
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        except OSError:
            return  # the client has hung up, as it should

    def log_message(self, *arguments: object) -> None:
        return


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[int]:
    """A server on the loopback, over TLS if there is a context; gives its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with serving() as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Certificate and key for the name "localhost", signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl makes the certificate, and it is not installed")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
    extra = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*words.split(), *extra], check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def secure_site(certificate: tuple[Path, Path]) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    with serving(context) as port:
        yield f"https://localhost:{port}"


LOOPBACK = FetchPolicy(allows=lambda address: True, max_bytes=1000, max_seconds=5.0)


def test_fetch(site: str) -> None:
    assert fetch_url(f"{site}/picture", LOOPBACK) == BODY


def test_https_with_a_trusted_certificate(
    secure_site: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    assert fetch_url(f"{secure_site}/picture", LOOPBACK) == BODY


def test_https_refuses_a_stranger_and_another_name(
    secure_site: str, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SourceError, match="certificate"):
        fetch_url(f"{secure_site}/picture", LOOPBACK)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    with pytest.raises(SourceError, match="certificate"):
        fetch_url(f"{secure_site.replace('localhost', '127.0.0.1')}/picture", LOOPBACK)


def test_a_name_look_up_that_never_answers() -> None:
    policy = FetchPolicy(resolve=lambda host, port: time.sleep(3) or [], max_seconds=0.2)
    started = time.monotonic()
    with pytest.raises(SourceError, match="longer than 0\\.2 seconds"):
        fetch_url("http://slow.example/", policy)
    assert time.monotonic() - started < 2.0


def test_redirect_is_followed(site: str) -> None:
    assert fetch_url(f"{site}/moved", LOOPBACK) == BODY


def test_odd_characters_are_quoted(site: str) -> None:
    assert fetch_url(f"{site}/echo/a b/é?q=ü&r=%20", LOOPBACK) == b"/echo/a%20b/%C3%A9?q=%C3%BC&r=%20"


def test_proxies_of_the_environment_are_ignored(site: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert fetch_url(f"{site}/picture", LOOPBACK) == BODY


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("missing", "answered 404"),
        ("circle", "redirects more than 5 times"),
        ("large", "larger than the limit"),
        ("short", "broke off"),
        ("away?ftp://example.org/x", "not an http or https address"),
        ("away?file:///etc/passwd", "not an http or https address"),
        ("away?http://[::1", "Invalid URL"),
        ("away?http://user:secret@example.org/", "user name or password"),
    ],
)
def test_bad_answers(site: str, path: str, sentence: str) -> None:
    with pytest.raises(SourceError, match=sentence):
        fetch_url(f"{site}/{path}", LOOPBACK)


ANSWERS = {
    "negative chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
    "huge chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\nhello",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "negative length": b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello",
    "length of 5,000 digits": b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nhello",
    "reason in colours": b"HTTP/1.1 404 \x1b[31mgone\x07\r\nContent-Length: 0\r\n\r\n",
    "reason in letters": b"HTTP/1.1 599 \xd0\xd1\xd2 \xe2\x80\xae\r\nContent-Length: 0\r\n\r\n",
    "headers without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000,
    "no status": b"hello\r\n\r\n",
    "nothing": b"",
    "redirect nowhere": b"HTTP/1.1 302 Found\r\nLocation: http://\x1b[31m\r\nContent-Length: 0\r\n\r\n",
    "redirect to a long name": b"HTTP/1.1 302 Found\r\nLocation: http://" + b"a" * 70 + b".org/\r\n\r\n",
    "redirect with a bad port": b"HTTP/1.1 302 Found\r\nLocation: http://a.org:99999/\r\n\r\n",
}


@contextmanager
def answering(answer: bytes) -> Iterator[str]:
    """A server that sends these bytes to whoever connects, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


@pytest.mark.parametrize("kind", ANSWERS)
def test_answers_that_break_the_protocol(kind: str) -> None:
    with answering(ANSWERS[kind]) as url, pytest.raises(SourceError) as caught:
        fetch_url(url, LOOPBACK)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


def test_a_body_that_unpacks_to_gigabytes_stays_packed() -> None:
    packed = gzip.compress(bytes(100_000))
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    with answering(head + packed) as url:
        assert fetch_url(url, LOOPBACK) == packed


@pytest.mark.parametrize("path", ["drip", "slowheaders"])
def test_time_limit_is_over_the_whole_fetch(site: str, path: str) -> None:
    started = time.monotonic()
    with pytest.raises(SourceError, match="longer than"):
        fetch_url(f"{site}/{path}", FetchPolicy(allows=lambda address: True, max_seconds=0.4))
    assert time.monotonic() - started < 2.0


def test_loopback_is_refused_by_default(site: str) -> None:
    with pytest.raises(SourceError, match="not a public address"):
        fetch_url(f"{site}/picture")


def test_redirect_to_a_forbidden_address(site: str) -> None:
    """The first hop is allowed, the address that it redirects to is not."""
    port = site.rpartition(":")[2]
    policy = FetchPolicy(allows=lambda address: address == ip_address("127.0.0.1"), max_seconds=5.0)
    with pytest.raises(SourceError, match=r"“127\.0\.0\.2” is not a public address"):
        fetch_url(f"{site}/away?http://127.0.0.2:{port}/picture", policy)


@pytest.mark.parametrize(
    "answers",
    [["10.0.0.7"], ["93.184.216.34", "192.168.1.1"], ["::ffff:127.0.0.1"], []],
    ids=["private", "one of two is private", "mapped loopback", "none"],
)
def test_name_that_leads_inside(answers: list[str]) -> None:
    policy = FetchPolicy(resolve=lambda host, port: [ip_address(a) for a in answers])
    with pytest.raises(SourceError, match=r"“pictures\.example” is not a public address"):
        fetch_url("http://pictures.example/a.jpg", policy)


def test_connects_to_the_address_that_was_checked(site: str) -> None:
    """The name is looked up once, its own name stays in the Host header."""
    looked_up: list[str] = []

    def resolve(host: str, port: int) -> list[fetching.Address]:
        looked_up.append(host)
        return [ip_address("127.0.0.1")]

    port = site.rpartition(":")[2]
    policy = FetchPolicy(allows=lambda address: True, resolve=resolve, max_seconds=5.0)
    assert fetch_url(f"http://pictures.example:{port}/host", policy) == f"pictures.example:{port}".encode()
    assert looked_up == ["pictures.example"]


def test_next_address_is_tried(site: str) -> None:
    port = int(site.rpartition(":")[2])
    several = [ip_address("127.0.0.9"), ip_address("127.0.0.1")]
    policy = FetchPolicy(allows=lambda address: True, resolve=lambda *_: several, max_seconds=5.0)
    assert fetch_url(f"http://pictures.example:{port}/picture", policy) == BODY


@pytest.mark.parametrize(
    "failure",
    [
        OSError("name not known"),
        OSError(-2, "name not known"),
        UnicodeError("name not known"),
        ValueError("name not known\nand \x1b[31mmore"),
    ],
    ids=["unknown", "with a number", "no name", "no address"],
)
def test_a_resolver_that_raises(failure: Exception) -> None:
    def fails(host: str, port: int) -> list[fetching.Address]:
        raise failure

    with pytest.raises(SourceError, match=r"cannot be reached: name not known\.$"):
        fetch_url("http://nowhere.example/", FetchPolicy(resolve=fails))


@pytest.mark.parametrize(
    "url",
    ["ftp://example.org/a", "file:///etc/passwd", "http://", "http:///a", "http://[::1", "http://a:99999/",
     "https://user@example.org/", "http://:pw@example.org/", "gopher://x", "http://" + "a" * 70 + ".org/"],
)  # fmt: skip
def test_refused_urls(url: str) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[fetching.Address]:
        asked.append(host)
        return []

    with pytest.raises(SourceError):
        fetch_url(url, FetchPolicy(resolve=resolve))
    assert asked == []


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "127.8.9.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254", "100.64.0.1",
     "0.0.0.0", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fc00::1",
     "fec0::1", "ff02::1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1", "2002:a00:1::",
     "2001:0:4136:e378:8000:63bf:3fff:fdd2",
     "192.0.0.8", "192.0.0.171", "192.88.99.1", "198.18.0.1", "::7f00:1", "64:ff9b:1::a00:1", "3fff::1",
     "5f00::1", "2001:db8::1", "100::1"],
)  # fmt: skip
def test_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ["93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "::ffff:8.8.8.8"])
def test_public(address: str) -> None:
    assert is_public(ip_address(address))
