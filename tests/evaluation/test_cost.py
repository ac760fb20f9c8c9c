import pytest
import torch
from fer_space.inference import logits_of
from torch import nn
from transformers import ViTConfig, ViTModel

from fer_space.backbones.base import Backbone, PooledLinearHead
from fer_space.evaluation import cost
from fer_space.evaluation.cost import Network, milliseconds, multiply_adds
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny

PREPROCESS = Preprocess(16, 12, gray=True)


class Attending(nn.Module):
    """One block of attention over the 16 cells of a picture, as the ViT has them."""

    def __init__(self) -> None:
        super().__init__()
        config = ViTConfig(
            hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, image_size=16
        )
        config.patch_size = 4
        self.vit = ViTModel(config, add_pooling_layer=False)
        self.vit.set_attn_implementation("eager")

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        tokens: torch.Tensor = self.vit(pictures).last_hidden_state[:, 1:]
        return tokens.transpose(1, 2).unflatten(2, (4, 4))


def test_multiply_adds_of_convolutions_and_the_classifier():
    count = multiply_adds(Network(lively_tiny(), PREPROCESS))
    assert count == 8 * 3 * 9 * 8 * 8 + 12 * 8 * 9 * 8 * 8 + 12 * 8


def test_attention_is_counted():
    network = Network(Backbone(Attending(), PooledLinearHead(8, 8)).eval(), PREPROCESS)
    embedding, projections, products, mlp = 16 * 48 * 8, 4 * 17 * 8 * 8, 2 * 17 * 17 * 8, 2 * 17 * 8 * 8
    assert multiply_adds(network) == embedding + projections + products + mlp + 8 * 8


def test_times_are_of_one_core_and_leave_the_threads_as_they_were(monkeypatch: pytest.MonkeyPatch):
    before, during = torch.get_num_threads(), []

    def reading(*words: object) -> None:
        during.append(torch.get_num_threads())
        logits_of(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(cost, "logits_of", reading)
    networks = {name: Network(lively_tiny(), PREPROCESS) for name in ("one", "two")}
    spent = milliseconds(networks)
    assert set(spent) == set(networks)
    assert all(time > 0.0 for time in spent.values())
    assert torch.get_num_threads() == before
    assert set(during) == {1}
