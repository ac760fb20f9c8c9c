from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from fer_space.errors import WeightsError
from fer_space.tensors import Unfilled, fill, load_tensors, save_tensors
from tests.networks import lively_tiny


def test_what_does_not_fit_half_precision_keeps_its_own(tmp_path: Path):
    tensors = {
        "weight": torch.full((2, 2), 0.1),
        "large": torch.full((2, 2), 1e6),
        "norm.running_var": torch.full((2,), 0.1),
        "norm.num_batches_tracked": torch.tensor(7),
    }
    save_tensors(tensors, tmp_path / "a.safetensors", half=True)
    stored = load_file(tmp_path / "a.safetensors")
    assert stored["weight"].dtype == torch.float16
    for name in ("large", "norm.running_var", "norm.num_batches_tracked"):
        assert torch.equal(stored[name], tensors[name])
        assert stored[name].dtype == tensors[name].dtype


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
def test_a_filled_network_answers_like_the_saved_one(tmp_path: Path, half: bool):
    save_tensors(lively_tiny().state_dict(), tmp_path / "a.safetensors", half=half)
    network, pictures = lively_tiny(seed=1), torch.randn(2, 3, 16, 16)
    fill(network, tmp_path / "a.safetensors")
    expected = lively_tiny()(pictures).logits
    tolerance = 2e-2 if half else 1e-6
    torch.testing.assert_close(network(pictures).logits, expected, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
def test_numbers_that_are_not_finite_are_refused(tmp_path: Path, bad: float):
    save_file({"weight": torch.tensor([[1.0, bad]])}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"not finite \(weight\)"):
        load_tensors(tmp_path / "a.safetensors")


def test_files_that_are_none(tmp_path: Path):
    (tmp_path / "a.safetensors").write_bytes(b"rubbish")
    for path in (tmp_path / "a.safetensors", tmp_path / "b.safetensors"):
        with pytest.raises(WeightsError, match="cannot be read as safetensors"):
            load_tensors(path)


def test_an_unfilled_network_draws_nothing():
    state = torch.get_rng_state()
    with Unfilled():
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(4, 2), nn.Embedding(3, 2))
    assert torch.equal(torch.get_rng_state(), state)


def test_bounds_hold_while_nothing_is_drawn():
    with Unfilled():
        drawn = nn.init.trunc_normal_(torch.full((100,), 9.0), std=0.02)
    assert float(drawn.abs().max()) <= 2.0
