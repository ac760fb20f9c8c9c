"""How pictures arrive: uploads as raw bytes, and the examples that ship with the page."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from gradio.utils import get_upload_folder
from numpy.typing import NDArray
from PIL import Image

from fer_space.errors import ImageError, InputError
from fer_space.render import data_uri, shrink
from fer_space.vision.imaging import decode_image

_THUMB = 160
_LOST = "The picture did not arrive. Please choose it again."


@dataclass(frozen=True)
class Example:
    """A picture that may be shown to everyone, with where it comes from.

    Attributes:
        file: the picture.
        title: a word or two under its thumbnail.
        alt: what is to be seen on it.
        source: where it was taken from.
        licence: why it may be used here.
    """

    file: Path
    title: str
    alt: str
    source: str
    licence: str


def load_examples(folder: Path) -> tuple[Example, ...]:
    """Read `folder`/manifest.json."""
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return tuple(Example(**{**entry, "file": folder / entry["file"]}) for entry in entries)


def examples_html(examples: Sequence[Example]) -> str:
    """Build one named button an example; its thumbnail is inside the page, not a served file."""
    buttons = "".join(_button(index, example) for index, example in enumerate(examples))
    return f'<div class="fer-examples" role="group" aria-label="Examples">{buttons}</div>'


def _button(index: int, example: Example) -> str:
    thumb = data_uri(shrink(decode_image(example.file.read_bytes()), _THUMB))
    return (
        f'<button type="button" data-index="{index}" title="{escape(example.alt)}" '
        f'aria-label="Example: {escape(example.alt)}"><img src="{thumb}" alt="">'
        f"<span>{escape(example.title)}</span></button>"
    )


def uploaded_bytes(payload: object) -> bytes:
    """Return the raw bytes of what a visitor handed in, undecoded.

    Gradio's own decoding would answer a damaged file with its own error and lose 16-bit and CMYK
    pictures, so the events take its raw payload. Gradio checks only payloads that carry its "meta"
    mark; the check here holds for all, so that no request can name another file of this machine.

    Raises:
        InputError: the payload names a file that was not uploaded.
        ImageError: its data URI cannot be read.
    """
    if not isinstance(payload, Mapping):
        raise InputError(_LOST)
    url = str(payload.get("url") or "")
    if url.startswith("data:"):
        return _inline_bytes(url)
    try:
        path = Path(str(payload.get("path") or "")).resolve()
        if path.is_relative_to(Path(get_upload_folder()).resolve()):
            return path.read_bytes()
    except (OSError, ValueError) as error:
        raise InputError(_LOST) from error
    raise InputError(_LOST)


def painted_strokes(strokes: object) -> NDArray[np.uint8]:
    """Decode what was painted on the page, a PNG in a data URI, to uint8 RGBA (h, w, 4).

    Raises:
        InputError: it is no data URI.
        ImageError: its picture cannot be read, see `decode_image`.
    """
    if not (isinstance(strokes, str) and strokes.startswith("data:")):
        raise InputError(_LOST)
    data = _inline_bytes(strokes)
    decode_image(data)  # says no to whatever is damaged or too large
    with Image.open(BytesIO(data)) as layer:
        return np.array(layer.convert("RGBA"), dtype=np.uint8)


def _inline_bytes(url: str) -> bytes:
    try:
        return b64decode(url.partition(",")[2], validate=True)
    except ValueError as error:
        raise ImageError("The picture's data URI is not valid base64.") from error
