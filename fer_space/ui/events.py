"""What all events of the page share: how they are queued, what they carry, and what leads to a sentence."""

import logging
import re
from base64 import b64decode
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.utils import get_upload_folder

from fer_space.errors import FerSpaceError, ImageError, InputError
from fer_space.sources.fetch import fetch_url
from fer_space.ui.session import UNFORESEEN
from fer_space.vision.imaging import MAX_BYTES

NO_FILE = "A picture comes as a file, a data URI or an address: with gradio_client, handle_file(“photo.jpg”)."
LOST = "The file did not arrive. Please choose it again."
_ADDRESS_OR_PATH = re.compile(r"(https?://\S+)|(?<!\w)(?:[A-Za-z]:)?[/\\](?:[\w.@+-]+[/\\])+[\w.@+-]*")
_LOG = logging.getLogger(__name__)

# Pieces of work that take turns: more than one visitor may have (`fer_space.ui.doors`), so that nobody waits
# in the queue behind one visitor alone.
MODELS_AT_ONCE = 32
THREADS = 80  # of Gradio, most of which wait for their turn

# Nothing of the page is an endpoint, and its own words say how far things are.
_PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
# Clicks that only redraw.
QUIET: dict[str, Any] = {**_PRIVATE, "queue": False, "trigger_mode": "always_last"}
# Clicks that say what they chose: with "always_last" Gradio repeats what the first of several carried.
CLICKS: dict[str, Any] = {**QUIET, "trigger_mode": "multiple"}
# Clicks that hand in or choose a picture: each counts, the session keeps the newest.
QUICK: dict[str, Any] = {
    **_PRIVATE,
    "trigger_mode": "multiple",
    "concurrency_id": "quick",
    "concurrency_limit": 4,
}
# Work that takes turns at the models (`fer_space.ui.turns.Turns`).
MODELS: dict[str, Any] = {
    **_PRIVATE,
    "trigger_mode": "multiple",
    "concurrency_id": "models",
    "concurrency_limit": MODELS_AT_ONCE,
}


def given(event: gr.EventData, name: str) -> Any:
    """Return what the page sent with an event under a name; None where a forged event lacks it."""
    try:
        return getattr(event, name)
    except (AttributeError, KeyError, TypeError):
        return None


def sentence_of(error: Exception) -> str:
    """Say to a visitor what went wrong.

    What nobody foresaw goes to the log and not to the page, and no path of this machine goes there either.
    """
    if isinstance(error, FerSpaceError):
        return visible(str(error))
    _LOG.error("An event of the page failed", exc_info=error)
    return UNFORESEEN


def visible(sentence: str) -> str:
    """Leave paths of this machine out of a sentence for visitors; addresses stay.

    Example:
        >>> visible("/home/me/a.png cannot be written, https://example.org/a/b.png can.")
        '… cannot be written, https://example.org/a/b.png can.'
    """
    return _ADDRESS_OR_PATH.sub(lambda found: found[1] or "…", sentence)


def not_usable(problems: Mapping[str, str]) -> str:
    """Name what is here and cannot be used, each with its reason, for the greyed line below a choice.

    Example:
        >>> not_usable({"dan": "/srv/weights/dan.json is cut short."})
        'Not usable: dan. … is cut short.'
    """
    return " ".join(f"Not usable: {name}. {visible(problem)}" for name, problem in problems.items())


def per_cent(share: object) -> float:
    """Read a share of a side, from the page, as a slider's value."""
    if not (isinstance(share, int | float) and isfinite(share)):
        return 50.0
    return round(min(max(float(share), 0.0), 1.0) * 100, 1)


def uploaded_bytes(payload: object) -> bytes:
    """Return the raw bytes of what a visitor handed in, undecoded.

    Gradio's own decoding would answer a damaged file with its own error and lose 16-bit and CMYK
    pictures, so the endpoint takes its raw payload. Gradio checks only payloads that carry its "meta"
    mark; the check here holds for all, so that no request can name another file of this machine.

    Args:
        payload: Gradio's description of a file: one that was uploaded, a data URI, or an http(s) address,
            which is fetched as `fer_space.sources.fetch` does, from public addresses alone.

    Raises:
        InputError: the payload names a file that was not uploaded, or what it names cannot be fetched.
        ImageError: its data URI cannot be read.
    """
    if isinstance(payload, str):
        raise InputError(NO_FILE)
    if not isinstance(payload, Mapping):
        raise InputError(LOST)
    url, path = (str(payload.get(key) or "") for key in ("url", "path"))
    if url.startswith("data:"):
        return inline_bytes(url)
    for address in (path, url):
        if "://" in address:
            return fetch_url(address)
    try:
        with uploaded_path(payload).open("rb") as file:
            return file.read(MAX_BYTES + 1)  # what is larger is refused by its length
    except OSError as error:
        raise InputError(LOST) from error


def uploaded_path(payload: Mapping[str, Any]) -> Path:
    """Return where an upload lies.

    Raises:
        InputError: the payload names no file that was uploaded.
    """
    try:
        path = Path(str(payload.get("path") or "")).resolve()
        if path.is_relative_to(Path(get_upload_folder()).resolve()) and path.is_file():
            return path
    except (OSError, ValueError) as error:
        raise InputError(LOST) from error
    raise InputError(LOST)


def named_files(sent: object) -> list[tuple[str, bytes]]:
    """Return names and bytes of several files that the page sent as `{"name": …, "data": data URI}` each.

    Raises:
        InputError, ImageError: they are no such files; see `inline_bytes`.
    """
    if not (isinstance(sent, list) and all(isinstance(file, Mapping) for file in sent)):
        raise InputError(LOST)
    return [(str(file.get("name"))[:200], inline_bytes(file.get("data"))) for file in sent]


def inline_bytes(url: object) -> bytes:
    """Return the bytes of a data URI.

    Raises:
        InputError: it is none.
        ImageError: it is not valid base64.
    """
    if not (isinstance(url, str) and url.startswith("data:")):
        raise InputError(LOST)
    try:
        return b64decode(url.partition(",")[2], validate=True)
    except ValueError as error:
        raise ImageError("The picture's data URI is not valid base64.") from error
