import pytest
import torch

from fer_space.evaluation.calibration import (
    ACCURACY_GIVEN_UP,
    BOOST_GIVEN_UP,
    fit_adjustment,
    fit_boost,
    fit_temperature,
)
from fer_space.evaluation.metrics import accuracy, balanced_accuracy


@pytest.mark.parametrize("true_temperature", [0.5, 1.0, 3.0])
def test_finds_the_temperature_that_made_the_labels(true_temperature: float):
    rng = torch.Generator().manual_seed(0)
    logits = torch.randn(20_000, 8, generator=rng) * 3
    labels = torch.multinomial((logits / true_temperature).softmax(1), 1, generator=rng)[:, 0]
    assert fit_temperature(logits, labels) == pytest.approx(true_temperature, rel=0.05)


def test_adjustment_boosts_the_rare_class_where_it_costs_nothing():
    """60 faces of class 0 win clearly; of 10 faces of class 1, half lose by a little."""
    logits = torch.zeros(70, 8)
    logits[:60, 0], logits[60:, 1] = 4.0, 2.0
    logits[60:65, 0] = 2.5
    labels = torch.tensor([0] * 60 + [1] * 10)
    priors = torch.tensor([0.6, 0.1] + [0.05] * 6)
    bias = fit_adjustment(logits, labels, priors)
    assert bias[0] == 0.0
    assert bias[1] > 0.5
    assert ((logits + bias).argmax(dim=1) == labels).all()


def test_the_second_point_goes_as_far_as_a_point_of_accuracy_pays_for():
    rng = torch.Generator().manual_seed(0)
    priors = torch.tensor([0.5, 0.3, 0.1, 0.04, 0.03, 0.01, 0.01, 0.01])
    labels = torch.multinomial(priors, 3000, replacement=True, generator=rng)
    rows = (torch.randn(3000, 8, generator=rng) + 1.5 * torch.eye(8)[labels] + priors.log()).softmax(dim=1)
    boost = fit_boost(rows, labels)
    boosted = (rows.log() + boost).softmax(dim=1)
    assert boost.min() == 0.0
    assert boost.argmin() == 0
    truth = labels.numpy()
    assert accuracy(boosted.numpy(), truth) >= accuracy(rows.numpy(), truth) - BOOST_GIVEN_UP
    assert balanced_accuracy(boosted.numpy(), truth) > balanced_accuracy(rows.numpy(), truth) + 0.02


def test_adjustment_never_gives_up_more_accuracy_than_stated():
    rng = torch.Generator().manual_seed(0)
    priors = torch.tensor([0.5, 0.3, 0.1, 0.04, 0.03, 0.01, 0.01, 0.01])
    labels = torch.multinomial(priors, 3000, replacement=True, generator=rng)
    logits = torch.randn(3000, 8, generator=rng) + 1.5 * torch.eye(8)[labels] + priors.log()
    right = [
        (rows.argmax(dim=1) == labels).float().mean()
        for rows in (logits, logits + fit_adjustment(logits, labels, priors))
    ]
    assert right[1] >= right[0] - ACCURACY_GIVEN_UP
