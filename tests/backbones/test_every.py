"""What holds for every backbone of the registry."""

import pytest
import torch
from torch import nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import BACKBONES
from fer_space.explain.maps import attend

SIDE = 48
PICTURES = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
NAMES = [name for name in BACKBONES if not name.endswith("_masked")]


def lively(name: str) -> Backbone:
    torch.manual_seed(1)
    backbone = BACKBONES[name].build(8, affect=True).eval()
    for layer in (backbone.head.classifier, backbone.head.affect):
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return backbone


def test_colours_and_titles_are_distinct():
    for values in ([spec.colour for spec in BACKBONES.values()], [spec.title for spec in BACKBONES.values()]):
        assert len(set(values)) == len(BACKBONES)


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_reading(name: str):
    backbone = lively(name)
    whole = backbone(PICTURES)
    divided = backbone.for_reading()
    assert divided.parameter_count() == backbone.parameter_count()
    assert not divided.head.training
    features = divided.body(PICTURES)
    output, maps = attend(divided.head, features)
    torch.testing.assert_close(output.logits, whole.logits)
    torch.testing.assert_close(output.affect, whole.affect)
    assert whole.embedding.shape[0] == 2
    assert maps.shape[:2] == (2, 8)
    assert maps.amax() <= 1.0
    assert maps.isfinite().all()
    backbone.head.keep_classes([5, 0])
    kept = backbone(PICTURES).logits
    torch.testing.assert_close(kept, whole.logits[:, [5, 0]], atol=1e-4, rtol=1e-4)
