"""Run a backbone over pictures: the same rule for the app, for tests and for validation.

Every picture is read together with its mirror image and the two logits are averaged, because an
expression does not depend on its side.
"""

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone, Output
from fer_space.errors import InputError
from fer_space.gradcam import attend
from fer_space.preprocess import Preprocess

DEVICES = ("auto", "cpu", "cuda", "mps")


def resolve_device(name: str) -> torch.device:
    """The one device rule: what is asked for is used; "auto" takes CUDA, else MPS, else the CPU.

    Raises InputError when the device that was asked for is not here.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if name not in DEVICES or not present[name]:
        here = ", ".join(kind for kind in present if present[kind])
        raise InputError(f"There is no device “{name}” on this machine. Here: {here}.")
    return torch.device(name)


@torch.no_grad()
def logits_of(
    backbone: Backbone, preprocess: Preprocess, pictures: Tensor, *, batch_size: int = 128
) -> Tensor:
    """Logits float32 (N, K) on the CPU of pictures uint8 (N, C, h, w) from `Preprocess.reduce`.

    The backbone's mode is restored.
    """
    was_training = backbone.training
    backbone.eval()
    reference = next(backbone.body.parameters())
    rows = []
    for start in range(0, len(pictures), batch_size):
        batch = pictures[start : start + batch_size]
        both = _with_mirror(preprocess.normalise(batch.to(reference.device)))
        output: Output = backbone.head(backbone.body(both.to(reference.dtype)).float())
        rows.append(_mirror_mean(output.logits).cpu())
    backbone.train(was_training)
    return torch.cat(rows)


@torch.no_grad()
def read_with_maps(
    backbone: Backbone, preprocess: Preprocess, pictures: Tensor
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Logits, valence and arousal, and attention maps of a few pictures in one forward of the body.

    Args:
        backbone: in evaluation mode.
        preprocess: its card's.
        pictures: uint8 (B, C, h, w) from `Preprocess.reduce`.

    Returns:
        On the CPU: logits float32 (B, K); float32 (B, 2) or None; maps float32 (B, K, h, w) in [0, 1].
    """
    reference = next(backbone.body.parameters())
    both = _with_mirror(preprocess.normalise(pictures.to(reference.device)))
    output, maps = attend(backbone.head, backbone.body(both.to(reference.dtype)).float())
    straight, mirrored = maps.chunk(2)
    parts = [_mirror_mean(output.logits), (straight + mirrored.flip(3)) / 2]
    if output.affect is not None:
        parts.append(_mirror_mean(output.affect))
    logits, means, *affect = _to_cpu(parts)
    return logits, affect[0] if affect else None, means


def _to_cpu(tensors: list[Tensor]) -> list[Tensor]:
    """Bring tensors to the CPU in one transfer."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).cpu()
    pieces = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]


def _with_mirror(inputs: Tensor) -> Tensor:
    return torch.cat([inputs, inputs.flip(3)])


def _mirror_mean(rows: Tensor) -> Tensor:
    straight, mirrored = rows.chunk(2)
    return (straight + mirrored) / 2
