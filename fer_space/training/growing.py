"""Net2Net: a larger network starts as the function that a trained smaller one of its family computes.

Chen, Goodfellow & Shlens 2016, arXiv 1511.05641. Deeper: a block that the smaller network lacks adds nothing
to its residual. Wider: new channels start as in any new network, and what was there before does not read them
yet. (The paper copies old channels and halves what reads them; twins like that need noise to grow apart.)
"""

import re
from collections.abc import Mapping

from torch import Tensor

# of an inverted residual block behind the first of its stage, as timm names its tensors
BLOCK = re.compile(r"(.+\.blocks\.\d+\.[1-9]\d*\.)")
LAST_NORM = "bn3.weight"
HEAD = "head."
AFFECT = "head.affect."


def grown(own: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a larger network that answers what the smaller one does, in evaluation mode.

    Args:
        own: name -> tensor of the larger network, freshly initialised: inverted residual blocks of timm.
        smaller: name -> tensor of the smaller one. What it lacks are whole blocks with a residual, and
            perhaps valence and arousal; what it has lies in the larger one, with fewer channels or as many.

    Raises ValueError, with the tensor's name, when one does not fit the other.
    """
    for name, tensor in smaller.items():
        if name not in own or not _fits(name, tensor, own[name]):
            raise ValueError(f"{name} does not fit")
    for name in own.keys() - smaller.keys():
        if not name.startswith(AFFECT) and not _in_new_block(name, own, smaller):
            raise ValueError(f"{name} is missing")
    return {name: _grow(name, fresh, smaller.get(name)) for name, fresh in own.items()}


def _fits(name: str, tensor: Tensor, room: Tensor) -> bool:
    """Whether channels alone grow: neither the sides of filters nor the classes of the head."""
    if tensor.dim() != room.dim():
        return False
    grows = [False, True] if name.startswith(HEAD) else [True, True]
    may = (*grows, *[False] * tensor.dim())
    return all(a == b or (free and a < b) for a, b, free in zip(tensor.shape, room.shape, may, strict=False))


def _in_new_block(name: str, own: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is of a block that can be silenced and of which the smaller network has nothing."""
    found = BLOCK.match(name)
    return (
        found is not None
        and f"{found[1]}{LAST_NORM}" in own
        and not any(other.startswith(found[1]) for other in smaller)
    )


def _grow(name: str, fresh: Tensor, known: Tensor | None) -> Tensor:
    result = fresh.clone()
    if known is None:
        return result.zero_() if name.endswith(LAST_NORM) else result
    if known.dim() == 0:
        return result.copy_(known)
    if known.dim() > 1:
        result[: len(known), known.shape[1] :] = 0.0
        result[: len(known), : known.shape[1]] = known
    else:
        result[: len(known)] = known
    return result
