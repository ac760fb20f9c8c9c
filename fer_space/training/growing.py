"""Net2Net: a larger network starts as the function that a trained smaller one of its family computes.

Chen, Goodfellow & Shlens 2016, arXiv 1511.05641. Deeper: a block that the smaller network lacks adds nothing
to its residual. Wider: new channels start as in any new network, and what was there before does not read them
yet. (The paper copies old channels and halves what reads them; twins like that need noise to grow apart.)
"""

from collections.abc import Mapping

from torch import Tensor

LAST_NORM = ".bn3.weight"  # of an inverted residual block, as timm names it


def grown(own: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a larger network that answers what the smaller one does.

    The networks must be inverted residual ones of timm, read in evaluation mode; only blocks with a residual
    may be new.

    Args:
        own: name -> tensor of the larger network, freshly initialised.
        smaller: name -> tensor of the smaller one, every one of them present in the larger, with as many
            dimensions and no side longer than there.

    Raises RuntimeError when a tensor of the smaller network does not fit into the larger.
    """
    for name, tensor in smaller.items():
        if name not in own or not _fits(tensor, own[name]):
            raise RuntimeError(f"{name} does not fit")
    return {name: _grow(name, fresh, smaller.get(name)) for name, fresh in own.items()}


def _fits(tensor: Tensor, room: Tensor) -> bool:
    """Whether a tensor is the corner of `room`; filters must agree in size, only channels grow."""
    sides = list(zip(tensor.shape, room.shape, strict=False))
    return (
        tensor.dim() == room.dim() and all(a <= b for a, b in sides[:2]) and all(a == b for a, b in sides[2:])
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
