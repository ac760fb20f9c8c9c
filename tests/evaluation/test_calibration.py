import pytest
import torch

from fer_space.evaluation.calibration import fit_temperature


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_made_the_labels(true_temperature: float):
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 8, generator=rng) * 3
    labels = torch.multinomial((logits / true_temperature).softmax(1), 1, generator=rng)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)
