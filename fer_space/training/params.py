"""Random numbers of a step: what was sampled for a batch, some of its rows, and the way to the training
device.

They are sampled on the CPU, whose generator a checkpoint can keep, so that a run continues exactly, and reach
the device in one copy. A copy of each tensor by itself would cost a GPU more time than the arithmetic after
it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

ALIGNMENT = 16  # bytes: a view of any type may begin there

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Params:
    """Base of what one step of a recipe samples: tensors with a row a picture."""

    def map(self, pick: Callable[[Tensor], Tensor]) -> Self:
        """Keep some of the pictures: `pick` takes their rows of each tensor."""
        return replace(self, **{part.name: pick(getattr(self, part.name)) for part in fields(self)})


def ship(value: T, device: torch.device) -> T:
    """Copy all tensors of nested dataclasses to a device in one transfer that nobody waits for.

    Args:
        value: a dataclass (of dataclasses) with tensors on the CPU; what is no tensor stays as it is.
        device: on the CPU the value itself comes back.

    Returns:
        The same dataclasses around tensors on `device`.
    """
    if device.type == "cpu":
        return value
    found: list[Tensor] = []
    _collect(value, found)
    if not found:
        return value
    packed, places = pack(found)
    if device.type == "cuda":
        packed = packed.pin_memory()
    there = packed.to(device, non_blocking=True)
    arrived = iter([unpack(there, start, tensor) for start, tensor in zip(places, found, strict=True)])
    result: T = _rebuild(value, arrived)
    return result


def pack(tensors: list[Tensor]) -> tuple[Tensor, list[int]]:
    """Lay tensors of any type out as bytes uint8 (M,); also gives where each begins."""
    places, length = [], 0
    for tensor in tensors:
        places.append(length)
        size = tensor.numel() * tensor.element_size()
        length += -(-size // ALIGNMENT) * ALIGNMENT
    packed = torch.empty(length, dtype=torch.uint8)
    for start, tensor in zip(places, tensors, strict=True):
        unpack(packed, start, tensor).copy_(tensor)
    return packed, places


def unpack(packed: Tensor, start: int, like: Tensor) -> Tensor:
    """View the tensor of type and shape of `like` that begins at byte `start`."""
    size = like.numel() * like.element_size()
    return packed[start : start + size].view(like.dtype).view(like.shape)


def _collect(value: Any, found: list[Tensor]) -> None:
    if isinstance(value, Tensor):
        found.append(value)
    elif is_dataclass(value):
        for part in fields(value):
            _collect(getattr(value, part.name), found)


def _rebuild(value: Any, arrived: Iterator[Tensor]) -> Any:
    if isinstance(value, Tensor):
        return next(arrived)
    if is_dataclass(value) and not isinstance(value, type):
        changes = {f.name: _rebuild(getattr(value, f.name), arrived) for f in fields(value)}
        return replace(value, **changes)
    return value
