"""Behind a proxy that serves the page under a path and strips it."""

import json
import re
from pathlib import Path
from threading import Thread
from urllib.request import urlopen

import httpx
import pytest
import uvicorn
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.test_app import free_port
from tests.toys import TOY_SPECS, ToyEngine
from tests.ui.conftest import EXAMPLES
from tests.ui.desk import data_url

PREFIX = "/faces"


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory):
    """The page, told that it is seen under PREFIX."""
    from fer_space.ui.page import build_page, serving_options

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("uploads")))
        patch.setenv("GRADIO_ROOT_PATH", PREFIX)
        page = build_page(ToyEngine([spec.name for spec in TOY_SPECS[:2]]), examples=EXAMPLES)
        _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, **serving_options())
    yield url.rstrip("/")
    page.close(verbose=False)


@pytest.fixture(scope="module")
def proxied(inside: str):
    """The page under PREFIX of another server, which knows nothing else."""
    client = httpx.Client(base_url=inside, timeout=30)

    async def hand_on(request: Request) -> Response:
        path = request.url.path.removeprefix(PREFIX)
        kept = {k: v for k, v in request.headers.items() if k not in ("host", "accept-encoding")}
        kept |= {"host": request.headers["host"], "x-forwarded-proto": "http", "accept-encoding": "identity"}
        address, body = f"{path}?{request.url.query}", await request.body()
        answer = await run_sync(lambda: client.request(request.method, address, headers=kept, content=body))
        return Response(
            answer.content,
            answer.status_code,
            headers={"content-type": answer.headers.get("content-type", "")},
        )

    methods = ["GET", "HEAD", "POST"]
    port = free_port()
    app = Starlette(routes=[Route(PREFIX + "/{rest:path}", hand_on, methods=methods)])
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error"))
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    yield f"http://127.0.0.1:{port}{PREFIX}"
    server.should_exit = True
    thread.join(10)
    client.close()


def test_the_page_names_its_own_files_under_the_path(proxied: str) -> None:
    text = urlopen(f"{proxied}/").read().decode()
    assert 'content="FER Space"' in text
    root = json.loads(re.search(r'"root":\s*("[^"]*")', text)[1])
    assert root == proxied
    for link in re.findall(r'(?:src|href)="(\.?/[^"]+\.(?:js|css))"', text)[:5]:
        assert urlopen(f"{proxied}/{link.removeprefix('./').lstrip('/')}").status == 200


def test_a_proxy_may_leave_the_path_in(proxied: str, inside: str) -> None:
    """Requests reach the page with the prefix or without it, and closed routes through neither."""
    for path in ("/", "/config", "/gradio_api/info"):
        assert httpx.get(inside + path, timeout=20).status_code == 200
        assert httpx.get(inside + PREFIX + path, timeout=20).status_code == 200
    assert 'content="FER Space"' in httpx.get(f"{inside}{PREFIX}/", timeout=20).text
    without_slash = httpx.get(inside + PREFIX, timeout=20)
    assert without_slash.is_redirect
    assert without_slash.headers["location"].endswith(f"{PREFIX}/")
    for path in ("/gradio_api/deep_link?session_hash=H", "/gradio_api/process_recording", "/monitoring"):
        for before in (inside, inside + PREFIX, inside + 2 * PREFIX, inside + PREFIX + "/", proxied):
            for method in ("GET", "POST"):
                assert httpx.request(method, before + path, timeout=20).status_code == 404


def test_the_health_check_answers(proxied: str) -> None:
    assert json.loads(urlopen(f"{proxied}/gradio_api/app_id").read())["app_id"]
    dockerfile = (Path(__file__).parents[2] / "Dockerfile").read_text(encoding="utf-8")
    assert "/gradio_api/app_id" in dockerfile


def test_programs_reach_the_endpoint(proxied: str) -> None:
    picture = {"url": data_url((EXAMPLES / "astronaut.jpg").read_bytes(), "image/jpeg")}
    asked = {"data": [picture, ["toy_lite"], "libfacedetection", "none", "none", False, ""]}
    answer = httpx.post(f"{proxied}/gradio_api/run/predict", json=asked, timeout=30)
    (record,) = answer.json()["data"]
    assert len(record["faces"]) == 1
