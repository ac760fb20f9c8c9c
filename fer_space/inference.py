"""Run a backbone over pictures: the same rule for the app, for tests and for validation.

Every picture is read together with its mirror image and the two logits are averaged, because an
expression does not depend on its side.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from fer_space.backbones.base import Backbone, Output
from fer_space.errors import InputError
from fer_space.explain.gradcam import attend
from fer_space.vision.preprocess import Preprocess

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


class Readout(NamedTuple):
    """What a backbone says of N pictures, on the CPU.

    Attributes:
        logits: float32 (N, K).
        affect: float32 (N, 2), valence and arousal of the head, or None for heads without them.
        embeddings: float32 (N, C), what the classifier reads, or None where nobody asked for them.
    """

    logits: Tensor
    affect: Tensor | None = None
    embeddings: Tensor | None = None


@torch.no_grad()
def outputs_of(
    backbone: Backbone,
    preprocess: Preprocess,
    pictures: Tensor,
    *,
    batch_size: int = 128,
    mirror: bool = True,
    embed: bool = False,
) -> Readout:
    """Read pictures uint8 (N, C, h, w) from `Preprocess.reduce`, N > 0; the backbone's mode is restored.

    Args:
        backbone: on any device, in any mode.
        preprocess: its card's.
        pictures: uint8 (N, C, h, w).
        batch_size: how many are read at a time.
        mirror: whether each picture is read together with its mirror image and both are averaged.
        embed: whether what the classifier reads is kept.
    """
    was_training = backbone.training
    backbone.eval()
    parts = [
        _read_batch(backbone, preprocess, batch, mirror, embed) for batch in torch.split(pictures, batch_size)
    ]
    backbone.train(was_training)
    affect = [part.affect for part in parts if part.affect is not None]
    embeddings = [part.embeddings for part in parts if part.embeddings is not None]
    return Readout(
        torch.cat([part.logits for part in parts]),
        torch.cat(affect) if affect else None,
        torch.cat(embeddings) if embeddings else None,
    )


def logits_of(
    backbone: Backbone, preprocess: Preprocess, pictures: Tensor, *, batch_size: int = 128
) -> Tensor:
    """The logits float32 (N, K) of `outputs_of` alone, mirror image included."""
    return outputs_of(backbone, preprocess, pictures, batch_size=batch_size).logits


def _read_batch(
    backbone: Backbone, preprocess: Preprocess, pictures: Tensor, mirror: bool, embed: bool
) -> Readout:
    output: Output = backbone.head(features_of(backbone, preprocess, pictures, mirror))
    kept = (output.logits, output.affect, output.embedding if embed else None)
    means = (_mirror_mean(rows) if mirror and rows is not None else rows for rows in kept)
    logits, affect, embeddings = (None if rows is None else rows.cpu() for rows in means)
    assert logits is not None
    return Readout(logits, affect, embeddings)


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
    output, maps = attend(backbone.head, features_of(backbone, preprocess, pictures))
    parts = [_mirror_mean(output.logits), mirror_mean_maps(maps)]
    if output.affect is not None:
        parts.append(_mirror_mean(output.affect))
    logits, means, *affect = _to_cpu(parts)
    return logits, affect[0] if affect else None, means


def _to_cpu(tensors: list[Tensor]) -> list[Tensor]:
    """Bring tensors to the CPU in one transfer."""
    flat = torch.cat([tensor.reshape(-1) for tensor in tensors]).cpu()
    pieces = torch.split(flat, [tensor.numel() for tensor in tensors])
    return [piece.view(tensor.shape) for piece, tensor in zip(pieces, tensors, strict=True)]


@torch.no_grad()
def features_of(backbone: Backbone, preprocess: Preprocess, pictures: Tensor, mirror: bool = True) -> Tensor:
    """What the body makes of pictures, and after them of their mirror images.

    Args:
        backbone: in evaluation mode.
        preprocess: its card's.
        pictures: uint8 (B, C, h, w) from `Preprocess.reduce`.
        mirror: whether the mirror images are read too.

    Returns:
        float32 (B, C', h', w') or, with the mirror images, (2 B, C', h', w'), on the backbone's device.
    """
    reference = next(backbone.body.parameters())
    inputs = preprocess.normalise(pictures.to(reference.device))
    if mirror:
        inputs = torch.cat([inputs, inputs.flip(3)])
    features: Tensor = backbone.body(inputs.to(reference.dtype)).float()
    return features


def mirror_mean_maps(maps: Tensor) -> Tensor:
    """Maps (2 B, K, h, w), the second half of mirror images -> each averaged with its twin, (B, K, h, w)."""
    straight, mirrored = maps.chunk(2)
    return (straight + mirrored.flip(3)) / 2


def _mirror_mean(rows: Tensor) -> Tensor:
    straight, mirrored = rows.chunk(2)
    return (straight + mirrored) / 2
