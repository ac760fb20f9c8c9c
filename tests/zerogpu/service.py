"""The service that lends GPUs on ZeroGPU, on this machine and without a GPU.

Only the service is made up: the `spaces` package itself asks it for leases, forks, pickles and gives back.
"""

import json
import os
import sys
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fer_space.runtime import process
from fer_space.runtime.device import RUNTIME_VARIABLE

# By what the service says: status, headers, body. An idle worker is used again.
LENT: tuple[int, dict[str, str], dict[str, Any]] = (
    200,
    {},
    {"idle": True, "nvidiaIndex": 0, "nvidiaUUID": "GPU-0", "allowToken": "token"},
)
REFUSED = {
    "quota": (429, {"X-Authenticated": "regular"}, {"left": 3, "wait": 11_525}),
    "illegal": (429, {"X-Approve-Result": "illegal-duration"}, {"left": 0, "wait": -1}),
    "pending": (429, {"X-Approve-Result": "pending-overquota-exceeded"}, {"left": 0, "wait": 0}),
    "no gpu": (503, {}, {}),
    "expired": (401, {}, {}),
}


@dataclass
class Service:
    """What was asked of it, and what it says to the next askers; then it lends."""

    leases: list[int] = field(default_factory=list)  # seconds
    releases: list[bool] = field(default_factory=list)  # whether each had failed
    started: int = 0
    plan: deque[str] = field(default_factory=deque)
    url: str = ""

    def start(self) -> "Service":
        """Answer on a free port of this machine, as the environment will say."""
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                address = urlsplit(self.path)
                status, headers, body = service.answer(address.path, parse_qs(address.query))
                data = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Type": "application/json"}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        return self

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, dict[str, str], dict[str, Any]]:
        if path == "/startup-report":
            self.started += 1
        if path == "/release":
            self.releases.append(query["fail"] == ["true"])
        if path != "/schedule":
            return 200, {}, {}
        if self.plan:
            return REFUSED[self.plan.popleft()]
        self.leases.append(int(query["durationSeconds"][0]))
        return LENT

    def environment(self) -> dict[str, str]:
        """What ZeroGPU sets in a Space, and the runtime of a GPU: OpenVINO does not survive a fork."""
        return {
            "SPACES_ZERO_GPU": "true",
            "SPACES_ZERO_DEVICE_API_URL": self.url,
            RUNTIME_VARIABLE: "torch",
        }


def import_spaces() -> ModuleType:
    """Import `spaces` as on ZeroGPU, but let torch be torch, as there is no GPU to stand in for.

    So what is lent computes on this machine's processor after a fork, which is refused anywhere else.
    """
    os.register_at_fork(after_in_child=lambda: setattr(process, "_computes", None))
    assert os.environ["SPACES_ZERO_GPU"] == "true"
    assert "spaces" not in sys.modules
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "torch"}
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import spaces
    finally:
        del sys.modules["torch"]
        sys.modules.update(hidden)
    return spaces
