import pytest
import torch

from fer_space.training.losses import any_accepted, cross_entropy, draw_labels, loss_for, smooth

LOGITS = torch.tensor([[0.7, 0.2, 0.1]]).log()


def test_cross_entropy_by_hand():
    target = torch.tensor([[0.5, 0.5, 0.0]])
    expected = -0.5 * (torch.tensor(0.7).log() + torch.tensor(0.2).log())
    torch.testing.assert_close(cross_entropy(LOGITS, target), expected)


def test_multi_label_loss_takes_the_best_accepted_emotion():
    target = torch.tensor([[0.0, 0.5, 0.5]])
    torch.testing.assert_close(any_accepted(LOGITS, target), -torch.tensor(0.2).log())


def test_drawn_labels_follow_the_distribution():
    targets = torch.tensor([[0.25, 0.75, 0.0]]).repeat(4000, 1)
    drawn = draw_labels(targets, torch.Generator().manual_seed(0))
    assert set(drawn.sum(dim=1).tolist()) == {1.0}
    torch.testing.assert_close(drawn.mean(dim=0), targets[0], atol=0.03, rtol=0)


def test_smoothing_keeps_the_sum():
    smoothed = smooth(torch.tensor([[1.0, 0.0, 0.0, 0.0]]), 0.2)
    torch.testing.assert_close(smoothed, torch.tensor([[0.85, 0.05, 0.05, 0.05]]))


@pytest.mark.parametrize("target", ["majority", "pld", "cel"])
def test_only_multi_has_its_own_loss(target: str):
    assert loss_for(target) is cross_entropy  # type: ignore[arg-type]
    assert loss_for("multi") is any_accepted
