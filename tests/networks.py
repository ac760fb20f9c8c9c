"""A network of a few hundred weights, a folder of weights for it, and faces that it can learn."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fer_space.backbones.base import Backbone, PooledLinearHead
from fer_space.backbones.specs import BackboneSpec
from fer_space.card import Card, paths_of, write_card
from fer_space.emotions import EMOTIONS
from fer_space.tensors import save_tensors
from fer_space.training.data import LabelledPictures
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess

TINY = BackboneSpec("tiny", "Tiny", "tests.networks:build_tiny", 16, "#111111")


def build_tiny(num_classes: int, affect: bool = False) -> Backbone:
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 12, 3, padding=1)
    )
    return Backbone(body, PooledLinearHead(12, num_classes, affect=affect, dropout=0.1))


def lively_tiny(seed: int = 0, classes: int = len(EMOTIONS)) -> Backbone:
    """A tiny network whose classifier is not zero, ready for reading."""
    torch.manual_seed(seed)
    backbone = build_tiny(classes)
    nn.init.normal_(backbone.head.classifier.weight)
    return backbone.eval().requires_grad_(False)


def toy_card(**changes: Any) -> Card:
    """The card of the tiny network."""
    values = {
        "name": "tiny",
        "architecture": TINY.target,
        "labels": EMOTIONS,
        "preprocess": Preprocess(16, 12, gray=True),
        "crop": CropRule(),
        "bias": (0.0,) * 7 + (0.5,),
        "temperature": 1.5,
        "parameters": 1000,
        "sha256": "",
        "data": "invented",
        "licence": "MIT",
        "command": "none",
    }
    return Card(**(values | changes))


def write_weights(folder: Path, backbone: Backbone, *, half: bool = False, **changes: Any) -> Card:
    """Put a tiny network and its card into a folder."""
    card = toy_card(parameters=backbone.parameter_count(), **changes)
    sha256 = save_tensors(backbone.state_dict(), paths_of(card.name, folder)[0], half=half)
    card = card.model_copy(update={"sha256": sha256})
    write_card(card, folder)
    return card


def striped_faces(count: int, seed: int = 0) -> LabelledPictures:
    """Pictures (N, 1, 12, 12) whose brightness of the upper half tells one of two labels, V and A."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    pictures = rng.integers(60, 120, (count, 1, 12, 12))
    pictures[:, :, :6] += labels[:, None, None, None] * 120
    targets = np.eye(len(EMOTIONS), dtype=np.float32)[labels]
    affect = np.stack([labels - 0.5, 0.5 - labels], axis=1).astype(np.float32)
    return LabelledPictures(
        torch.from_numpy(pictures.astype(np.uint8)),
        torch.from_numpy(labels),
        torch.from_numpy(targets),
        torch.from_numpy(affect),
    )
