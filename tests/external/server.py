"""A server on the loopback: files, files sent badly, and enough of the Hub's interface for its client."""

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BODY = bytes(range(256)) * 40
COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "somebody/faces"


class Handler(BaseHTTPRequestHandler):
    """Answers /WORD with `answer_WORD`, and a Hub repository out of `server.repo`."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.partition("?")[0]
        if path.startswith("/api/models/"):
            self.hub_info(path)
        elif "/resolve/" in path:
            self.hub_file(path)
        else:
            getattr(self, "answer_" + path.strip("/").partition("/")[0], self.answer_missing)()

    def do_HEAD(self) -> None:
        self.do_GET()

    def reply(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.write(body)

    def write(self, body: bytes) -> None:
        try:
            self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            return  # the client has hung up, as it should

    def answer_good(self) -> None:
        self.reply(200, BODY)

    def answer_unmeasured(self) -> None:
        self.reply(200, BODY, length=-1)

    def answer_moved(self) -> None:
        self.reply(302, Location="/good/model.onnx")

    def answer_away(self) -> None:
        self.reply(302, Location=self.path.partition("?")[2])

    def answer_short(self) -> None:
        self.reply(200, BODY, length=len(BODY) + 7)

    def answer_missing(self) -> None:
        self.reply(404)

    def answer_silent(self) -> None:
        self.server.released.wait(5.0)

    def answer_stalls(self) -> None:
        self.reply(200, BODY[:100], length=len(BODY))
        self.server.released.wait(5.0)

    def answer_drips(self) -> None:
        self.reply(200, b"", length=len(BODY))
        for _ in range(100):
            self.write(b"x")
            time.sleep(0.03)
            if self.server.released.is_set():
                return

    def answer_file(self) -> None:
        self.reply(200, self.server.file)

    def hub_info(self, path: str) -> None:
        if self.server.repo is None or f"/{REPO}" not in path:
            return self.reply(404, X_Error_Code="RepoNotFound")
        siblings: list[dict[str, Any]] = []
        for file in sorted(self.server.repo.iterdir()):
            content = file.read_bytes()
            sibling: dict[str, Any] = {"rfilename": file.name, "size": len(content), "blobId": "0" * 40}
            if file.suffix == ".safetensors":
                sha256 = self.server.promised or hashlib.sha256(content).hexdigest()
                sibling["lfs"] = {"size": len(content), "sha256": sha256, "pointerSize": 130}
            siblings.append(sibling)
        values = {"id": REPO, "sha": COMMIT, "siblings": siblings, "cardData": {"license": "mit"}}
        return self.reply(200, json.dumps(values).encode(), Content_Type="application/json")

    def hub_file(self, path: str) -> None:
        assert self.server.repo is not None
        file = self.server.repo / path.rpartition("/")[2]
        if not file.is_file():
            return self.reply(404, X_Error_Code="EntryNotFound")
        content = file.read_bytes()
        etag = hashlib.sha256(content).hexdigest()
        return self.reply(200, content, ETag=f'"{etag}"', X_Repo_Commit=COMMIT)

    def log_message(self, *arguments: object) -> None:
        return


class Server(ThreadingHTTPServer):
    """Its state: what was asked for, and what the handlers send."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str] = []
        self.released = threading.Event()
        self.file = b""
        self.repo: Path | None = None
        self.promised = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
