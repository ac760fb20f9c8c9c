"""The endpoint as a tool for assistants, as a client of the Model Context Protocol meets it."""

import asyncio
from ast import literal_eval
from typing import Any

import pytest

from tests.ui.conftest import EXAMPLES, Served
from tests.ui.desk import data_url

mcp = pytest.importorskip("mcp")

PORTRAIT = data_url((EXAMPLES / "astronaut.jpg").read_bytes(), "image/jpeg")


def _call(served: Served, arguments: dict[str, Any] | None) -> Any:
    """Call the tool, or without arguments list what there is."""

    async def talk() -> Any:
        from mcp.client.streamable_http import streamable_http_client

        url = f"{served.url}gradio_api/mcp/"
        async with (
            streamable_http_client(url) as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            if arguments is None:
                return await session.list_tools()
            return await session.call_tool("predict", arguments)

    return asyncio.run(talk())


def test_the_endpoint_is_the_only_tool_and_explains_itself(served: Served) -> None:
    (tool,) = [tool for tool in _call(served, None).tools if "upload" not in tool.name]
    assert tool.name == "predict"
    assert "Read every face of a picture" in tool.description
    assert "image" in tool.inputSchema["properties"]


def test_an_assistant_gets_the_record(served: Served) -> None:
    answer = _call(served, {"image": PORTRAIT, "backbones": ["toy_lite"], "detector": "libfacedetection"})
    assert not answer.isError
    record = literal_eval(answer.content[0].text)  # Gradio writes it as Python does
    assert record["faces"][0]["consensus"]["label"] == "happiness"


def test_an_assistant_is_told_what_is_wrong(served: Served) -> None:
    answer = _call(served, {"image": PORTRAIT, "backbones": ["toy_lite"], "detector": "a hat"})
    assert answer.isError
    assert "'a hat' is not one of" in answer.content[0].text  # in the words of MCP's own library
