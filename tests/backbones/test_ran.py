from math import exp, log
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from fer_space.backbones.ran import (
    BOXES_XYXY,
    Ran,
    RanHead,
    build_ran,
    load_official,
    rank_biased_loss,
    region_views,
    weighted_mean,
)
from fer_space.backbones.specs import BACKBONES
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.explain.maps import attend
from fer_space.training.initialise import initialise

SHARES = (torch.arange(32) + 0.5) / 32


def test_each_view_shows_its_box():
    row, column = SHARES.expand(32, 32), SHARES[:, None].expand(32, 32)
    views = region_views(torch.stack([row, column, row])[None]).view(6, 3, 32, 32)
    for view, (x0, y0, x1, y1) in zip(views, BOXES_XYXY, strict=True):
        torch.testing.assert_close(view[0], (x0 + (x1 - x0) * SHARES).expand(32, 32), atol=0.01, rtol=0)
        torch.testing.assert_close(
            view[1], (y0 + (y1 - y0) * SHARES)[:, None].expand(32, 32), atol=0.01, rtol=0
        )


def test_the_last_view_is_the_face_itself():
    pictures = torch.randn(2, 3, 16, 16)
    assert torch.equal(region_views(pictures)[:, -3:], pictures)


def test_weighted_mean_by_hand():
    values = torch.tensor([[[1.0], [4.0]]])
    torch.testing.assert_close(weighted_mean(values, torch.tensor([[[2.0], [1.0]]])), torch.tensor([[2.0]]))


@torch.no_grad()
def test_attention_by_hand():
    head = RanHead(2, affect=False, channels=1)
    head.alpha.weight.fill_(1.0)
    head.alpha.bias.zero_()
    head.beta.weight.copy_(torch.tensor([[1.0, 0.0]]))
    head.beta.bias.zero_()
    features = torch.zeros(1, 6, 2, 2)
    features[:, 5] = log(3.0)  # sigmoid 3/4, that of the others 1/2
    ratio = exp(0.75 - 0.5)
    output = head(features)
    alpha = torch.tensor([[1.0] * 5 + [ratio]]) / (5 + ratio)
    torch.testing.assert_close(output.auxiliary["alpha"], alpha)
    own = ratio**2 * log(3.0) / (5 + ratio**2)  # beta repeats alpha's ratio
    torch.testing.assert_close(output.embedding, torch.tensor([[own, log(3.0) * ratio / (5 + ratio)]]))


def test_rank_biased_loss_by_hand():
    alpha = torch.tensor([[0.1, 0.3, 0.1, 0.1, 0.1, 0.3], [0.1, 0.4, 0.1, 0.1, 0.1, 0.2]])
    torch.testing.assert_close(rank_biased_loss(alpha, 0.1), torch.tensor(0.05))
    torch.testing.assert_close(rank_biased_loss(alpha[1:] * 0.5, 0.15), torch.tensor(0.05))


def test_six_views_go_through_one_network():
    backbone = build_ran(8).double()  # batches of other sizes round differently
    pictures = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    features = backbone.eval().body(pictures)
    assert features.shape == (2, 6 * 512, 2, 2)
    alone = nn.Sequential(*backbone.body.children())(pictures)
    torch.testing.assert_close(features[:, 5 * 512 :], alone)
    assert torch.equal(backbone.head(features).logits, torch.zeros(2, 8, dtype=torch.float64))
    assert backbone.parameter_count() < 11.3e6


def test_own_loss_is_the_rank_biased_one():
    backbone = build_ran(8)
    output = backbone(torch.randn(2, 3, 32, 32))
    loss = backbone.head.own_loss(output, torch.eye(8)[:2])
    torch.testing.assert_close(loss, rank_biased_loss(output.auxiliary["alpha"], 0.02))


@pytest.mark.parametrize("number", range(6))
def test_evidence_of_a_view_lies_in_its_box(number: int):
    x0, y0, x1, y1 = BOXES_XYXY[number]
    evidence = torch.zeros(1, 6, 4, 4)
    evidence[:, number] = 1.0
    laid = RanHead(2, affect=False, channels=1).lay(evidence)
    assert laid.shape == (1, 16, 16)
    centres = (torch.arange(16) + 0.5) / 16
    inside = ((centres > y0) & (centres < y1))[:, None] & ((centres > x0) & (centres < x1))
    area = (x1 - x0) * (y1 - y0)
    assert torch.count_nonzero(laid[0][~inside]) == 0
    torch.testing.assert_close(laid[0][inside], torch.full((int(inside.sum()),), 1 / area))


@torch.no_grad()
def test_maps_cover_the_face():
    backbone = build_ran(8).eval()
    torch.nn.init.normal_(backbone.head.classifier.weight)
    divided = backbone.for_reading()
    features = divided.body(torch.randn(2, 3, 64, 64))
    assert features.shape == (2, 6 * 256, 4, 4)
    _, maps = attend(divided.head, features)
    assert maps.shape == (2, 8, 16, 16)


def official_tensors(backbone: Ran, prefix: str) -> dict[str, Tensor]:
    """Our tensors under the official names."""
    names = {
        "body.": "",
        "head.alpha.": "alpha.0.",
        "head.beta.": "beta.0.",
        "head.classifier.": "fc.",
    }
    tensors = {}
    for name, tensor in backbone.state_dict().items():
        ours, theirs = next(pair for pair in names.items() if name.startswith(pair[0]))
        tensors[prefix + theirs + name.removeprefix(ours)] = tensor
    return tensors


@torch.no_grad()
@pytest.mark.parametrize("prefix", ["", "module."])
def test_official_checkpoint(prefix: str, tmp_path: Path):
    source = build_ran(8).eval()
    torch.nn.init.normal_(source.head.classifier.weight)
    path = tmp_path / "ran.safetensors"
    save_file(official_tensors(source, prefix), path)
    again = build_ran(8, affect=True).eval()
    initialise(again, BACKBONES["ran"], f"official:{path}")
    pictures = torch.randn(2, 3, 32, 32)
    assert torch.equal(again(pictures).logits, source(pictures).logits)
    load_official(again, path, EMOTIONS[::-1])
    assert torch.equal(again(pictures).logits, source(pictures).logits.flip(1))
    with pytest.raises(InputError, match="its classes"):
        load_official(build_ran(7), path)
