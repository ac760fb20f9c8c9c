import pytest
import torch
from torch import nn
from transformers import ViTConfig, ViTModel

from fer_space.backbones.base import Backbone, PooledLinearHead
from fer_space.evaluation.cost import (
    Cost,
    cost_of_all,
    costs_of,
    gray_face,
    milliseconds,
    multiply_adds,
    reference_of,
)
from fer_space.model import Model
from tests.networks import lively_tiny, toy_card


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


@pytest.fixture
def model() -> Model:
    return Model(toy_card(), lively_tiny())


def test_multiply_adds_of_convolutions_and_the_classifier(model: Model):
    assert multiply_adds(model) == 8 * 3 * 9 * 8 * 8 + 12 * 8 * 9 * 8 * 8 + 12 * 8


def test_attention_is_counted():
    model = Model(toy_card(), Backbone(Attending(), PooledLinearHead(8, 8)))
    embedding, projections, products, mlp = 16 * 48 * 8, 4 * 17 * 8 * 8, 2 * 17 * 17 * 8, 2 * 17 * 8 * 8
    assert multiply_adds(model) == embedding + projections + products + mlp + 8 * 8


def test_times_are_of_one_core_and_leave_the_threads_as_they_were(
    model: Model, monkeypatch: pytest.MonkeyPatch
):
    before, during = torch.get_num_threads(), []
    read = model.logits

    def reading(pictures: torch.Tensor) -> object:
        during.append(torch.get_num_threads())
        return read(pictures)

    monkeypatch.setattr(model, "logits", reading)
    spent = milliseconds({"one": model, "two": model})
    assert set(spent) == {"one", "two"}
    assert all(time > 0.0 for time in spent.values())
    assert torch.get_num_threads() == before
    assert set(during) == {1}


def test_costs_are_multiples_of_the_references(model: Model):
    costs = costs_of({"first": model, "efficientnet_lite0": model})
    assert costs["efficientnet_lite0"] == Cost(1000, multiply_adds(model), 1.0)
    assert costs["first"].time > 0.0
    assert costs_of({}) == {}
    assert (reference_of(["a", "b"]), reference_of([])) == ("a", "")


def test_several_cost_as_much_as_all_of_them():
    costs = {"a": Cost(1, 10, 1.0), "b": Cost(2, 20, 0.25)}
    assert cost_of_all(costs, ["a", "b"]) == Cost(3, 30, 1.25)
    assert cost_of_all(costs, ["a", "far"]) is None


def test_a_gray_face_is_as_the_model_keeps_it(model: Model):
    assert gray_face(model, 2).shape == (2, 1, 12, 12)
