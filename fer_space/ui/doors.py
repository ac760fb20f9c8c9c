"""Which requests reach Gradio, how large they may be, and how many of one visitor's at once.

Gradio answers on some seventy routes; the page, `gradio_client`, curl and MCP use those of `OPEN`. The rest
is closed: some write pictures to disk, show what others do, or run code for whoever asks. What a request
names by its address is never fetched by Gradio but by `fer_space.sources.fetch`, with its limits.
"""

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext, suppress
from ipaddress import ip_address
from typing import Any

from gradio.utils import get_upload_folder
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fer_space.vision.imaging import MAX_BYTES

API = "/gradio_api"

# By method, the paths that something here uses.
_READ = (
    r"/?|/config/?|/favicon\.ico|/robots\.txt|/manifest\.json|/pwa_icon(/\d+)?|/theme\.css|/(assets|static|svelte)/.*",
    r"/gradio_api/(info|openapi\.json|app_id|startup-events|theme\.css|queue/(data|status)|upload_progress)/?",
    r"/gradio_api/heartbeat/[\w-]+|/gradio_api/call/(v2/)?predict/[\w-]+|/gradio_api/mcp(/.*)?",
    r"/gradio_api/file=/.*",  # previews of one's own uploads; addresses are not fetched
)
_WRITE = (
    r"/gradio_api/(run|api|call|call/v2)/predict/?|/gradio_api/queue/join|/gradio_api/(cancel|reset/?|upload)",
    r"/gradio_api/stream/[\w-]+(/close)?|/gradio_api/mcp(/.*)?",  # stream: pictures of a running camera
)
OPEN: dict[str, re.Pattern[str]] = {
    "GET": re.compile("|".join(_READ)),
    "HEAD": re.compile("|".join(_READ)),
    "POST": re.compile("|".join(_WRITE)),
    "DELETE": re.compile(r"/gradio_api/mcp(/.*)?"),
    "OPTIONS": re.compile(".*", re.DOTALL),
}

# A data URI grows by a third; a form has a few lines more than its file.
FORM = 1024 * 1024
MAX_JSON = MAX_BYTES * 4 // 3 + FORM
TOO_LARGE = "The request is too large: a file may have {} MB."
TOO_SLOW = "The request did not arrive within a minute."
NO_JSON = "The request is no JSON of the kind that this endpoint takes."
FULL = "Queue is full: too many requests wait here already. Please try again in a minute."
YOURS = "Queue is full: {count} of your requests wait here already. Please wait for their answers."
QUEUED = "This works through the queue alone: use the page or gradio_client."

AT_ONCE = 8  # requests that skip the queue
OWN = AT_ONCE // 2  # of them of one address
BODY_S = 60.0  # within which the whole of such a request has to arrive
WAITING = 64  # that wait for one of these places
ONE_VISITOR = 24  # requests of one address that wait or run, in the queue and beside it

_FRAMES = "frame-ancestors 'self' https://huggingface.co"  # which shows a Space in a frame
_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "content-security-policy": _FRAMES,
}


class Doors:
    """ASGI middleware that stands outside everything else.

    Args:
        app: what serves the page.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._places = asyncio.Semaphore(AT_ONCE)
        self._own: dict[str, asyncio.Semaphore] = {}  # places of a visitor who has requests there
        self._waiting = 0
        self._beside: Counter[str] = Counter()  # requests beside the queue, by visitor

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or say in a sentence why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _with_headers(send)
        path, method = path_of(scope), str(scope["method"])
        door = OPEN.get(method)
        file = int(_blocks(scope).max_file_size or MAX_BYTES) if path == f"{API}/upload" else MAX_BYTES
        limit = file + FORM if path == f"{API}/upload" else MAX_JSON
        if door is None or not door.fullmatch(path):
            await PlainTextResponse("Not found", status_code=404)(scope, receive, answer)
        elif method != "POST":
            await self._app(scope, receive, answer)
        elif _announced(scope) > limit:
            await _refuse(TOO_LARGE.format(file // 1024**2), 413)(scope, receive, answer)
        elif path.startswith((f"{API}/run/", f"{API}/api/")):
            await self._beside_the_queue(scope, receive, answer)
        elif path.startswith((f"{API}/call/", f"{API}/queue/")):
            await self._to_the_queue(scope, receive, answer)
        else:
            with suppress(ClientDisconnect):  # also where it was larger than announced
                await self._app(scope, _limited(receive, limit), answer)

    async def _to_the_queue(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = visitor_of(scope)
        if visitor and self._count(scope, visitor) >= ONE_VISITOR:
            await _refuse(YOURS.format(count=ONE_VISITOR), 503)(scope, receive, send)
            return
        await self._with_body(scope, receive, send)

    async def _beside_the_queue(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The endpoint for those who wait for its answer, and clicks that only redraw."""
        visitor = visitor_of(scope)
        if visitor and self._count(scope, visitor) >= ONE_VISITOR:
            await _refuse(YOURS.format(count=ONE_VISITOR), 503)(scope, receive, send)
        elif self._waiting >= WAITING:
            await _refuse(FULL, 503)(scope, receive, send)
        else:
            async with self._place(visitor):
                await self._with_body(scope, receive, send)

    @asynccontextmanager
    async def _place(self, visitor: str) -> AsyncIterator[None]:
        """Wait for a place; who has `OWN` of them already waits for one of those, in nobody's way."""
        own = self._own.setdefault(visitor, asyncio.Semaphore(OWN)) if visitor else nullcontext()
        self._beside[visitor] += 1
        self._waiting += 1
        try:
            async with own, self._places:
                self._waiting -= 1
                try:
                    yield
                finally:
                    self._waiting += 1
        finally:
            self._waiting -= 1
            self._beside[visitor] -= 1
            if not self._beside[visitor]:
                del self._beside[visitor]
                self._own.pop(visitor, None)

    def _count(self, scope: Scope, visitor: str) -> int:
        """How many requests of a visitor wait or run."""
        events = _blocks(scope)._queue.event_ids_to_events.values()
        queued = sum(1 for event in list(events) if visitor_of(event.request.scope) == visitor)
        return queued + self._beside[visitor]

    async def _with_body(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Read the whole request, within its limit, and hand it on as far as it is allowed."""
        try:
            async with asyncio.timeout(BODY_S):
                body = await _read(receive)
            values = json.loads(body)
            if not isinstance(values, dict):
                raise ValueError
        except _TooLargeError:
            await _refuse(TOO_LARGE.format(MAX_BYTES // 1024**2), 413)(scope, receive, send)
            return
        except TimeoutError:
            await _refuse(TOO_SLOW, 408)(scope, receive, send)
            return
        except (ValueError, RecursionError):
            await _refuse(NO_JSON, 400)(scope, receive, send)
            return
        if not self._may_run(scope, values):
            await _refuse(QUEUED, 404)(scope, receive, send)
            return
        changed = [_unmarked(values), _completed(scope, values)]
        if any(changed):
            body = json.dumps(values).encode()
        await self._app(_sized(scope, len(body)), _replayed(body, receive), send)

    def _may_run(self, scope: Scope, values: Mapping[str, Any]) -> bool:
        """Whether a request beside the queue asks for what may run there: the endpoint, or a redrawing."""
        index = values.get("fn_index")
        if index is None or "/queue/" in path_of(scope):
            return True
        function = _blocks(scope).fns.get(index) if isinstance(index, int) else None
        return function is not None and not function.queue


def path_of(scope: Scope) -> str:
    """Return the path by which Starlette chooses a route: without the page's own, where a proxy left that in.

    Example:
        >>> path_of({"path": "/faces/config", "root_path": "/faces"})
        '/config'
    """
    path, own = str(scope["path"]), str(scope.get("root_path") or "")
    return path[len(own) :] if own and f"{path}/".startswith(f"{own}/") else path


def visitor_of(scope: Scope) -> str:
    """Return the address of a visitor, or "" where it is not known.

    An address of a private network is taken for a proxy's, behind which many visitors stand.
    """
    client = scope.get("client")
    try:
        return str(client[0]) if client and ip_address(client[0]).is_global else ""
    except ValueError:
        return ""


class _TooLargeError(Exception):
    """A request is larger than it may be."""


def _refuse(sentence: str, status: int) -> JSONResponse:
    # "error" is what curl shows, "detail" what Gradio's own clients show.
    return JSONResponse({"error": sentence, "detail": sentence}, status_code=status)


def _blocks(scope: Scope) -> Any:
    return scope["app"].get_blocks()


def _announced(scope: Scope) -> int:
    """How many bytes a request says to have; 0 where it does not say."""
    size = Headers(scope=scope).get("content-length", "")
    return int(size) if size.isdecimal() else 0


async def _read(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ValueError
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_JSON:
            raise _TooLargeError
        if not message.get("more_body"):
            return b"".join(parts)


def _limited(receive: Receive, limit: int) -> Receive:
    """A request that breaks off, as by a client that went away, where it is too large."""
    size = 0

    async def limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        return {"type": "http.disconnect"} if size > limit else message

    return limited


def _replayed(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()  # waits until the client goes away
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _sized(scope: Scope, size: int) -> Scope:
    others = [(name, value) for name, value in scope["headers"] if name != b"content-length"]
    return {**scope, "headers": [*others, (b"content-length", str(size).encode())]}


def _unmarked(values: Any) -> bool:
    """Take Gradio's mark from descriptions of files that were not uploaded; returns whether there were any.

    What is marked Gradio would fetch, from any address and of any size, or end in an error of its own.
    """
    found, todo, uploads = False, [values], os.path.abspath(get_upload_folder()) + os.sep  # noqa: PTH100
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
            path = value.get("path")
            own = isinstance(path, str) and "://" not in path and os.path.abspath(path).startswith(uploads)  # noqa: PTH100
            if "meta" in value and "path" in value and not own:
                del value["meta"]
                found = True
    return found


def _completed(scope: Scope, values: dict[str, Any]) -> bool:
    """Give the last values that a request to an endpoint leaves out their defaults; returns whether it did.

    An endpoint is added to: who wrote a request before it took one value more need not change it.
    """
    data, name = values.get("data"), path_of(scope).rpartition("/")[2]
    functions = _blocks(scope).fns.values() if "fn_index" not in values else ()
    inputs: list[Any] = next((function.inputs for function in functions if function.api_name == name), [])
    if not (isinstance(data, list) and 0 < len(data) < len(inputs)):
        return False
    data += [component.value for component in inputs[len(data) :]]
    return True


def _with_headers(send: Send) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            del headers["access-control-allow-credentials"]  # there are none, so nobody needs to send any
        await send(message)

    return headed
