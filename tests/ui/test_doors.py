"""What gets past the doors: the routes that are used, within limits of size and number."""

import asyncio
import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any

import httpx
import pytest
from gradio.routes import App
from starlette._utils import get_route_path

from fer_space.ui import doors
from fer_space.ui.doors import MAX_JSON, OPEN, path_of, visitor_of
from fer_space.ui.page import GRADIO_SESSIONS
from fer_space.ui.video import MEGABYTES
from tests.ui.conftest import EXAMPLES, Pause, Served

PHOTO = "data:image/jpeg;base64," + b64encode((EXAMPLES / "astronaut.jpg").read_bytes()).decode()
PREDICT = {"data": [{"url": PHOTO}, ["toy_lite"], "libfacedetection", "none", "none", False, ""]}
RUN = "/gradio_api/run/predict"

# All that Gradio has and nothing here uses. Where a new version of Gradio brings another route, the test that
# reads this list fails: look what it does, and add it here or to `OPEN`.
CLOSED = [
    "/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json", "/monitoring", "/monitoring/summary",
    "/monitoring/{key}", "/login", "/login/", "/logout", "/gradio_api/deep_link",
    "/gradio_api/process_recording", "/gradio_api/user", "/gradio_api/user/", "/gradio_api/login_check",
    "/gradio_api/login_check/", "/gradio_api/token", "/gradio_api/token/",
    "/gradio_api/dev/reload", "/gradio_api/runs", "/gradio_api/runs/", "/gradio_api/run-history/connect",
    "/gradio_api/run-history/buckets", "/gradio_api/run-history/records",
    "/gradio_api/run-history/records/{endpoint}/{record_id}/assets/{asset_id}",
    "/gradio_api/custom_component/{id}/{environment}/{type}/{file_name}",
    "/gradio_api/proxy={url_path:path}", "/gradio_api/file/{path:path}",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist.m3u8",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/{segment_id}.{ext}",
    "/gradio_api/stream/{session_hash}/{run}/{component_id}/playlist-file", "/gradio_api/component_server",
    "/gradio_api/component_server/", "/gradio_api/vibe-edit", "/gradio_api/vibe-edit/",
    "/gradio_api/undo-vibe-edit", "/gradio_api/undo-vibe-edit/", "/gradio_api/vibe-code",
    "/gradio_api/vibe-code/", "/gradio_api/vibe-starter-queries", "/gradio_api/vibe-starter-queries/",
    "/gradio_api/profiling/traces", "/gradio_api/profiling/summary", "/gradio_api/profiling/clear",
]  # fmt: skip


def filled(path: str) -> str:
    """A path of a route, its parameters filled."""
    for name, value in {"path:path": "x", "path_or_url:path": "/tmp/x", "api_name": "predict"}.items():
        path = path.replace(f"{{{name}}}", value)
    while "{" in path:
        path = path[: path.index("{")] + "1" + path[path.index("}") + 1 :]
    return path


def is_open(method: str, path: str) -> bool:
    return method in OPEN and OPEN[method].fullmatch(path) is not None


@pytest.fixture(scope="module")
def app(served: Served) -> App:
    return served.page.app


def routes_of(router: Any) -> Iterator[Any]:
    """Every route of an app, also of the routers that it includes."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from routes_of(route.original_router)
        else:
            yield route


def test_every_route_of_gradio_is_known(app: App) -> None:
    unknown, routes = [], list(routes_of(app))
    assert len(routes) > 80
    for route in routes:
        path = getattr(route, "path", "")
        methods = getattr(route, "methods", None) or {"GET", "POST"}
        opened = [method for method in methods if is_open(method, filled(path))]
        if not opened and path not in CLOSED:
            unknown.append(path)
        if opened and path in CLOSED:
            unknown.append(f"{path} is open")
    assert not unknown


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/gradio_api/heartbeat/0f9a2c1e-6d1b-4a53-9a51-0d1a5a0a3f11"), ("GET", "/gradio_api/info"),
     ("GET", "/gradio_api/heartbeat/k3x9w"), ("GET", "/"), ("GET", "/assets/index.js"), ("HEAD", "/"),
     ("POST", "/gradio_api/upload"), ("POST", "/gradio_api/queue/join"), ("POST", "/gradio_api/mcp/"),
     ("POST", "/gradio_api/stream/0f9a2c1e"), ("OPTIONS", "/gradio_api/queue/join")],
)  # fmt: skip
def test_what_is_used_is_open(method: str, path: str) -> None:
    assert is_open(method, path)


@pytest.mark.parametrize("path", CLOSED)
def test_what_nothing_uses_is_closed(path: str, served: Served) -> None:
    for method in ("GET", "POST", "PUT"):
        assert httpx.request(method, served.url + filled(path)[1:], timeout=20).status_code == 404


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": lambda path: path,
    "slash": lambda path: path + "/",
    "two slashes": lambda path: "/" + path,
    "two slashes inside": lambda path: path.replace("api/", "api//"),
    "%2f": lambda path: "/" + path[1:].replace("/", "%2f"),
    "upper case": str.upper,
    "below an open one": lambda path: "/assets/.." + path,
    "dots in code": lambda path: "/gradio_api/mcp/%2e%2e/.." + path,
    "more": lambda path: path + ";x",
    "line feed": lambda path: path + "%0a",
    "zero": lambda path: path + "%00",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_closed_routes_are_closed_however_they_are_spelled(spelling: str, served: Served) -> None:
    """Sent as they are: a client that tidied paths up would hide what a stranger can send."""
    connection = HTTPConnection(httpx.URL(served.url).netloc.decode(), timeout=20)
    for path in CLOSED:
        connection.request("GET", SPELLINGS[spelling](filled(path)))
        answer = connection.getresponse()
        answer.read()
        assert answer.status in (403, 404), path
    connection.close()


@pytest.mark.parametrize("own", ["", "/faces", "/assets", "/static", "/gradio_api/mcp"])
def test_the_path_of_the_page_opens_nothing(own: str) -> None:
    """A page under a path that looks like an open route: what counts is what Starlette routes by."""
    for path in CLOSED:
        for sent in (own + filled(path), filled(path)):
            scope = {"type": "http", "path": sent, "root_path": own}
            assert path_of(scope) == get_route_path(scope)
            assert not is_open("GET", path_of(scope))


@pytest.mark.parametrize(
    "path",
    ["/gradio_api/file=http://example.org/x.png", "/gradio_api/file=https://example.org",
     "/gradio_api/file=x", "/gradio_api/call/upload", "/gradio_api/run/upload", "/gradio_api/run/read",
     "/gradio_api/call/v2/read"],
)  # fmt: skip
def test_addresses_and_private_names_are_closed(path: str, served: Served) -> None:
    for method in ("GET", "POST"):
        assert httpx.request(method, served.url + path[1:], timeout=20).status_code == 404


def test_files_of_the_server_are_not_given(served: Served) -> None:
    for path in (__file__, "/etc/passwd", str(served.uploads / ".." / "x")):
        assert httpx.get(f"{served.url}gradio_api/file={path}", timeout=20).status_code in (403, 404)


def test_headers(served: Served) -> None:
    origin = {"Origin": "https://stranger.example", "Host": "fer.example"}
    for path in ("", "gradio_api/info", "nothing", "config"):
        headers = httpx.get(served.url + path, headers=origin, timeout=20).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert "https://huggingface.co" in headers["content-security-policy"]
        assert "access-control-allow-credentials" not in headers


def test_the_endpoint_beside_the_queue(served: Served) -> None:
    answer = httpx.post(served.url + RUN[1:], json=PREDICT, timeout=60)
    assert answer.status_code == 200
    assert len(answer.json()["data"][0]["faces"]) == 1


def test_many_visitors_leave_no_more_than_a_hundred_sessions_in_gradio(served: Served) -> None:
    for number in range(GRADIO_SESSIONS + 20):
        asked = {"data": [None, ["toy_lite"]], "session_hash": f"visitor {number}"}
        assert httpx.post(f"{served.url}gradio_api/run/predict", json=asked, timeout=30).status_code == 500
    assert len(served.page.state_holder.session_data) <= GRADIO_SESSIONS


def test_queued_events_of_the_page_do_not_run_beside_the_queue(served: Served, app: App) -> None:
    for index, function in app.get_blocks().fns.items():
        if function.queue:
            body = {**PREDICT, "fn_index": index, "session_hash": "s"}
            assert httpx.post(served.url + RUN[1:], json=body, timeout=60).status_code == 404
    body = {**PREDICT, "fn_index": "3"}
    assert httpx.post(served.url + RUN[1:], json=body, timeout=60).status_code == 404


@pytest.mark.parametrize(
    ("path", "megabytes"),
    [("run/predict", 25), ("queue/join", 25), ("call/predict", 25), ("upload", MEGABYTES)],
)
def test_large_requests_are_refused_before_they_are_read(path: str, megabytes: int, served: Served) -> None:
    connection = HTTPConnection(httpx.URL(served.url).netloc.decode(), timeout=20)
    connection.putrequest("POST", f"/gradio_api/{path}")
    connection.putheader("Content-Length", str((2 * megabytes + 10) * 1024 * 1024))
    connection.endheaders()  # and not a byte more
    answer = connection.getresponse()
    assert answer.status == 413
    assert f"{megabytes} MB" in json.loads(answer.read())["error"]
    connection.close()


@pytest.mark.parametrize("path", ["run/predict", "queue/join", "upload"])
def test_large_requests_without_a_length_are_refused_too(path: str, served: Served) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"} if path == "upload" else {}

    def parts() -> Any:
        yield b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n'
        for _ in range(MEGABYTES + 3 if path == "upload" else MAX_JSON // 1024**2 + 3):
            yield b" " * 1024**2

    try:
        status = httpx.post(
            f"{served.url}gradio_api/{path}", headers=headers, content=parts(), timeout=60
        ).status_code
    except httpx.TransportError:
        status = 413  # hung up on while it was still sending
    assert status == 413
    kept = [file.stat().st_size for file in served.uploads.rglob("*") if file.is_file()]
    assert max(kept, default=0) <= MEGABYTES * 1024**2


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b"[" * 100_000], ids=range(5))
def test_what_is_no_json_is_a_sentence(body: bytes, served: Served) -> None:
    answer = httpx.post(served.url + RUN[1:], content=body, timeout=20)
    assert answer.status_code == 400
    assert answer.json()["error"] == doors.NO_JSON


@pytest.mark.parametrize(
    ("host", "visitor"),
    [("127.0.0.1", ""), ("10.0.0.7", ""), ("8.8.8.8", "8.8.8.8"), ("testclient", ""), (None, "")],
)
def test_who_a_visitor_is(host: str | None, visitor: str) -> None:
    assert visitor_of({"client": (host, 1) if host else None}) == visitor


def test_many_requests_of_one_visitor_do_not_fill_the_queue(served: Served, slow: Pause) -> None:
    """Forty at once: some are told to wait, none fails otherwise, and another visitor is answered."""
    slow(0.05)

    def ask(address: str) -> httpx.Response:
        return httpx.post(
            served.url + RUN[1:], json=PREDICT, headers={"X-Forwarded-For": address}, timeout=120
        )

    with ThreadPoolExecutor(41) as threads:
        greedy = [threads.submit(ask, "8.8.8.8") for _ in range(40)]
        other = threads.submit(ask, "9.9.9.9").result()
        answers = [future.result() for future in greedy]
    assert other.status_code == 200
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) <= 40 - doors.ONE_VISITOR
    assert all("of your requests wait" in answer.json()["error"] for answer in refused)


def test_gradio_fetches_no_address_for_anybody(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(
        "gradio.processing_utils.async_ssrf_protected_download", lambda *args: asked.append(args)
    )
    file = {"path": "https://example.org/x.png", "meta": {"_type": "gradio.FileData"}}
    httpx.post(served.url + RUN[1:], json={"data": [file, *PREDICT["data"][1:]]}, timeout=30)
    nested = json.dumps({"data": [[{"a": file}]], "session_hash": "s", "fn_index": 0})
    httpx.post(f"{served.url}gradio_api/queue/join", content=nested, timeout=30)
    assert not asked


def test_one_visitor_leaves_places_to_others() -> None:
    """Beside the queue, where whoever holds a place may hold it for long."""

    async def visit() -> None:
        guard, done = doors.Doors(None), asyncio.Event()

        async def hold(visitor: str, inside: list[str]) -> None:
            async with guard._place(visitor):
                inside.append(visitor)
                await done.wait()

        inside: list[str] = []
        greedy = [asyncio.create_task(hold("8.8.8.8", inside)) for _ in range(20)]
        await asyncio.sleep(0)
        other = asyncio.create_task(hold("9.9.9.9", inside))
        for _ in range(10):
            await asyncio.sleep(0)
        assert inside == ["8.8.8.8"] * doors.OWN + ["9.9.9.9"]
        assert guard._waiting == 20 - doors.OWN
        done.set()
        await asyncio.gather(*greedy, other)
        assert len(inside) == 21
        assert (guard._waiting, guard._own, guard._beside) == (0, {}, {})

    asyncio.run(visit())


def test_a_request_that_comes_by_drops_gives_its_place_back(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "BODY_S", 0.3)
    connection = HTTPConnection(httpx.URL(served.url).netloc.decode(), timeout=20)
    connection.putrequest("POST", RUN)
    connection.putheader("Content-Type", "application/json")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"{")
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]) == (408, doors.TOO_SLOW)
    connection.close()
