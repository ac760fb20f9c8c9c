"""What visitors hand in: only uploads and data URIs are read, and everything else is a sentence."""

from base64 import b64encode
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fer_space.errors import FerSpaceError
from fer_space.ui.intake import painted_strokes, uploaded_bytes
from tests.ui.desk import strokes_uri


@pytest.mark.parametrize(
    "payload",
    [{"path": __file__}, {"path": "../../etc/hostname"}, {"path": ""}, {"path": None}, {}],
    ids=["server file", "relative", "empty", "none", "nothing"],
)
def test_only_uploads_can_be_read(
    payload: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with pytest.raises(FerSpaceError):
        uploaded_bytes(payload)


@pytest.mark.parametrize(
    "payload",
    [5, "text", ["a"], {"path": "\0"}, {"path": "x" * 5000}, {"url": "data:image/png;base64,é"}],
    ids=["number", "text", "list", "NUL", "long path", "no ASCII"],
)
def test_malformed_payloads_are_sentences(payload: object) -> None:
    with pytest.raises(FerSpaceError):
        uploaded_bytes(payload)


def test_data_uris_are_read() -> None:
    assert uploaded_bytes({"path": None, "url": "data:image/png;base64,aGVsbG8="}) == b"hello"
    with pytest.raises(FerSpaceError):
        uploaded_bytes({"url": "data:image/png;base64,***"})


def test_strokes_keep_what_is_clear() -> None:
    strokes = painted_strokes(strokes_uri((20, 30), (slice(5, 9), slice(2, 4)), (200, 100, 50)))
    assert strokes.shape == (20, 30, 4)
    assert strokes[..., 3].sum() == 8 * 255
    assert strokes[6, 3].tolist() == [200, 100, 50, 255]


@pytest.mark.parametrize(
    "strokes",
    [None, 5, {}, "/etc/hostname", "data:image/png;base64,aGVsbG8=", "data:image/png;base64,***"],
    ids=["none", "number", "dict", "server file", "no picture", "no base64"],
)
def test_malformed_strokes_are_sentences(strokes: object) -> None:
    with pytest.raises(FerSpaceError):
        painted_strokes(strokes)


def test_strokes_past_the_limits_are_refused() -> None:
    _, png = cv2.imencode(".png", np.zeros((1, 30_001), np.uint8))
    with pytest.raises(FerSpaceError, match="too long"):
        painted_strokes(f"data:image/png;base64,{b64encode(png.tobytes()).decode()}")
