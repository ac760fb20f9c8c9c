"""A GPU that is lent for one action at a time, as Hugging Face's ZeroGPU does.

    read = lent(spaces.GPU, engine.stream, seconds_to_read)

The lender runs a generator function in another process: what it is given and what it yields travel as
pickles, and an exception arrives as the name of its class alone, unless it is Gradio's. So a deliberate
error travels as a value and is raised again on this side; and what the lender says, of quotas for example,
becomes a `LeaseError`, whose sentence the page shows like any other.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import wraps
from math import ceil
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from fer_space.errors import FerSpaceError, LeaseError
from fer_space.explain.library import METHODS
from fer_space.explain.maps import DEFAULT
from fer_space.explain.sensitivity import CELLS

P = ParamSpec("P")
T = TypeVar("T")
Lend = Callable[..., Callable[[Callable[..., Any]], Callable[..., Any]]]  # spaces.GPU(duration=...)(steps)

# Seconds for which a GPU is asked. More than is left to a visitor is refused; what is not used is given back.
START = 8.0  # until the first answer: a process, CUDA, and the models' way to the GPU
EACH = 0.02  # for one model, one face and its mirror image
MAPS = 1.5  # times as much with maps
LIBRARY_MAPS = 6.0  # and with those of the grad-cam library
LONGEST = 120

ABORTED = (
    "The GPU was taken back before the work was done. Please try again with fewer faces or models, or with "
    "the default maps."
)
NOT_LENT = "No GPU can be lent to you now: {reason}"
_WORKER = "ZeroGPU worker error"
_TOKEN = re.compile(r"\s*-?\s*https?://\S+")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class _Refusal:
    """A deliberate error on its way from one process to the other."""

    error: FerSpaceError


def lent(
    lend: Lend, steps: Callable[P, Iterator[T]], seconds: Callable[..., int]
) -> Callable[P, Iterator[T]]:
    """Run a generator function on a lent GPU, one lease a call.

    Must be called before the page is served: the lender wants to know its borrowers by then.

    Args:
        lend: `spaces.GPU`, or what stands in for it.
        steps: what is run; closing it between two steps gives the GPU back.
        seconds: how long it will take, of the same arguments.

    Returns:
        The function to call instead. It raises what `steps` raises on purpose, LeaseError where no GPU is
        lent or it is taken back, and RuntimeError where something else went wrong on the other side.
    """

    def there(*args: P.args, **kwargs: P.kwargs) -> Iterator[T | _Refusal]:
        try:
            yield from steps(*args, **kwargs)
        except FerSpaceError as error:
            yield _Refusal(error)

    borrowed = lend(duration=seconds)(there)

    @wraps(steps)
    def here(*args: P.args, **kwargs: P.kwargs) -> Iterator[T]:
        try:
            with closing(borrowed(*args, **kwargs)) as answers:
                for answer in answers:
                    if isinstance(answer, _Refusal):
                        raise answer.error
                    yield answer
        except gr.Error as error:
            raise _as_ours(error) from error

    return here


def _as_ours(error: gr.Error) -> Exception:
    """Turn what the lender says into an error of this package, or into one that is logged as unforeseen."""
    message = str(error.message)
    if error.title != _WORKER:
        reason = _LINK.sub(r"\1", _TOKEN.sub("", message)).strip()
        return LeaseError(NOT_LENT.format(reason=reason[:1].lower() + reason[1:]))
    if "aborted" in message:
        return LeaseError(ABORTED)
    return RuntimeError(f"{message} on the lent GPU")


def seconds_to_read(
    image_rgb: object,
    faces: Sequence[object],
    *,
    backbones: Sequence[str],
    method: str | None = DEFAULT,
    covers: Sequence[object] = (None,),
    **_: object,
) -> int:
    """How long `Engine.stream` will take with these arguments, in seconds."""
    times = 1.0 if method is None else MAPS
    if method in METHODS and METHODS[method].source:
        times = LIBRARY_MAPS
    return _seconds(len(faces) * len(backbones) * len(covers) * times)


def seconds_to_slide(image_rgb: object, face: object, *, backbones: Sequence[str]) -> int:
    """How long `Engine.sensitivity` will take with these arguments, in seconds."""
    return _seconds(len(backbones) * (1 + CELLS**2))


def seconds_to_answer(crops: Sequence[object], *, backbones: Sequence[str], boost_rare: bool = False) -> int:
    """How long `Engine.answers` will take with these arguments, in seconds."""
    return _seconds(len(crops) * len(backbones))


def _seconds(readings: float) -> int:
    return min(ceil(START + EACH * readings), LONGEST)
