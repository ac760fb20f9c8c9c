"""The requests to the endpoint in README, as they stand there but for address and model."""

import json
import shutil
import subprocess

import pytest

from tests.docs.reading import README, ROOT, blocks
from tests.ui.conftest import Served

ADDRESS = "http://127.0.0.1:7860"


def adapted(block: str, served: Served) -> str:
    return block.replace(ADDRESS, served.url.rstrip("/")).replace('"dan"', '"toy_dan"')


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_gets_the_record(served: Served) -> None:
    (command,) = [block for block in blocks(README, "sh") if ADDRESS in block and "curl" in block]
    answer = subprocess.run(
        ["bash", "-c", adapted(command, served)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    (record,) = json.loads(answer.stdout)["data"]
    (face,) = record["faces"]
    assert list(face["backbones"]) == ["toy_dan"]
    assert face["occluded"]["kind"] == "surgical"


def test_the_client_gets_the_record(served: Served) -> None:
    (code,) = [block for block in blocks(README, "python") if ADDRESS in block]
    code = adapted(code, served).replace("photo.jpg", str(ROOT / "examples" / "astronaut.jpg"))
    scope: dict[str, object] = {}
    exec(code.replace("client.predict(", "record = client.predict("), scope)
    assert scope["record"]["faces"][0]["occluded"]["kind"] == "surgical"
