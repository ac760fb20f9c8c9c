import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_space.errors import InputError
from fer_space.training import losses
from fer_space.training.config import TrainConfig
from fer_space.training.losses import TrainingLoss

LOGITS = torch.tensor([[0.7, 0.2, 0.1]]).log()
COUNTS = torch.tensor([81.0, 16.0, 1.0])
HALF = torch.tensor([[0.5, 0.5, 0.0]])


def loss_of(**changes: object) -> TrainingLoss:
    config = TrainConfig(backbone="tiny", data="none:none", **changes)  # type: ignore[arg-type]
    return TrainingLoss(config, COUNTS)


def minus_log(*probabilities: float) -> torch.Tensor:
    return -torch.tensor(probabilities).log()


def test_cross_entropy_by_hand():
    expected = 0.5 * minus_log(0.7).sum() + 0.5 * minus_log(0.2).sum()
    torch.testing.assert_close(loss_of()(LOGITS, HALF), expected)


def test_cross_entropy_of_a_target_that_does_not_sum_to_one():
    torch.testing.assert_close(loss_of()(LOGITS, 3 * HALF), 3 * loss_of()(LOGITS, HALF))


def test_kl_is_zero_where_prediction_and_target_agree():
    same = torch.tensor([[0.7, 0.2, 0.1], [0.7, 0.2, 0.1]])
    torch.testing.assert_close(loss_of(loss="kl")(same.log(), same), torch.tensor(0.0), atol=1e-6, rtol=0)
    entropy = 0.5 * minus_log(0.5, 0.5).sum()
    torch.testing.assert_close(loss_of(loss="kl")(LOGITS, HALF), loss_of()(LOGITS, HALF) - entropy)


def test_focal_by_hand():
    target = torch.tensor([[0.0, 1.0, 0.0]])
    loss = loss_of(loss="focal", focal_gamma=2.0)(LOGITS, target)
    torch.testing.assert_close(loss, 0.8**2 * minus_log(0.2)[0])


def test_ldam_by_hand():
    # counts 81, 16, 1: margins are proportional to 1/3, 1/2, 1
    loss = loss_of(loss="ldam", margin=1.5)(LOGITS, torch.tensor([[0.0, 1.0, 0.0]]))
    lowered = LOGITS - torch.tensor([[0.0, 0.75, 0.0]])
    torch.testing.assert_close(loss, -lowered.log_softmax(dim=1)[0, 1])
    torch.testing.assert_close(losses.margins(COUNTS, 1.5), torch.tensor([0.5, 0.75, 1.5]))


def test_ldam_on_scaled_cosines_is_the_paper():
    cosines = torch.tensor([[0.3, -0.2, 0.1]])
    target = torch.tensor([[0.0, 0.0, 1.0]])
    moved = cosines - torch.tensor([[0.0, 0.0, 0.5]])
    expected = -(30 * moved).log_softmax(dim=1)[0, 2]
    torch.testing.assert_close(loss_of(loss="ldam", margin=15)(30 * cosines, target), expected)


def test_logit_adjustment_by_hand():
    target = torch.tensor([[0.0, 0.0, 1.0]])
    joint = torch.tensor([0.7, 0.2, 0.1]) * COUNTS / COUNTS.sum()
    expected = minus_log(float(joint[2] / joint.sum()))[0]
    torch.testing.assert_close(loss_of(loss="logit-adjusted")(LOGITS, target), expected)


def test_multi_label_loss_takes_the_best_accepted_emotion():
    target = torch.tensor([[0.0, 0.5, 0.5]])
    torch.testing.assert_close(loss_of(target="multi")(LOGITS, target), minus_log(0.2)[0])


@pytest.mark.parametrize("changes", [{"mix": "mixup"}, {"loss": "focal"}], ids=str)
def test_the_multi_label_loss_stands_alone(changes: dict[str, object]):
    with pytest.raises(InputError, match="--target multi"):
        loss_of(target="multi", **changes)


def test_weights_by_hand():
    torch.testing.assert_close(losses.inverse_weights(COUNTS), 98 / 3 / COUNTS)
    two = losses.effective_weights(torch.tensor([2.0, 1.0]), beta=0.5)  # 1 / 1.5 and 1
    torch.testing.assert_close(two[1] / two[0], torch.tensor(1.5))


@given(st.lists(st.integers(0, 10_000), min_size=2, max_size=8).filter(any))
def test_weights_average_one_over_the_training_faces(counts: list[int]):
    numbers = torch.tensor(counts, dtype=torch.float32)
    for weigh in (losses.inverse_weights, losses.effective_weights):
        mean = (weigh(numbers) * numbers).sum() / numbers.sum()
        torch.testing.assert_close(mean, torch.tensor(1.0), atol=1e-4, rtol=0)


def test_weights_wait_for_their_epoch():
    loss = loss_of(class_weights="inverse", defer=0.5, epochs=4)
    rare = torch.tensor([[0.0, 0.0, 1.0]])
    loss.at_epoch(1)
    early = loss(LOGITS, rare)
    loss.at_epoch(2)
    torch.testing.assert_close(loss(LOGITS, rare), early * 98 / 3)


def test_dynamic_weights_grow_where_the_loss_is_and_stay_bounded():
    loss = loss_of(class_weights="dynamic", dynamic_rate=0.5)
    targets = torch.eye(3)
    logits = torch.tensor([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0], [9.0, 0.0, 0.0]])  # the third is read wrongly
    for _ in range(50):
        loss.learn(loss.sums(logits, targets))
    assert loss.weights[2] == losses.WEIGHT_LIMIT
    assert loss.weights[0] < 1.0
    again = loss_of(class_weights="dynamic")
    again.load_state_dict(loss.state_dict())
    assert torch.equal(again.weights, loss.weights)


def test_other_weights_do_not_learn():
    loss = loss_of(class_weights="inverse")
    before = loss.weights.clone()
    loss.learn(torch.ones(2, 3))
    assert torch.equal(loss.weights, before)


def test_concordance_by_hand():
    predicted = torch.tensor([[0.0], [2.0]])
    labels = torch.tensor([[1.0], [3.0]])  # covariance 1, variances 1 and 1, means 1 apart
    torch.testing.assert_close(losses.concordance(predicted, labels), torch.tensor([2 / 3]))


def test_affect_loss_leaves_out_faces_without_labels():
    labels = torch.tensor([[0.5, 0.1], [-0.5, 0.3], [torch.nan, torch.nan]])
    predicted = torch.tensor([[0.5, 0.1], [-0.5, 0.3], [0.9, 0.9]], requires_grad=True)
    loss = losses.affect_loss(predicted, labels)
    torch.testing.assert_close(loss, torch.tensor(0.0), atol=1e-6, rtol=0)
    loss.backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()
    assert losses.affect_loss(predicted[2:], labels[2:]) == 0.0


def test_drawn_labels_follow_the_distribution():
    targets = torch.tensor([[0.25, 0.75, 0.0]]).repeat(4000, 1)
    drawn = losses.sample_labels(targets, torch.Generator().manual_seed(0))
    assert set(drawn.sum(dim=1).tolist()) == {1.0}
    torch.testing.assert_close(drawn.mean(dim=0), targets[0], atol=0.03, rtol=0)


def test_smoothing_keeps_the_sum():
    smoothed = losses.smooth(
        torch.tensor([[1.0, 0.0, 0.0, 0.0]]), 0.2, torch.tensor([True, True, True, True])
    )
    torch.testing.assert_close(smoothed, torch.tensor([[0.85, 0.05, 0.05, 0.05]]))


def test_an_emotion_without_a_face_weighs_nothing():
    counts = torch.tensor([81.0, 16.0, 0.0])
    torch.testing.assert_close(losses.margins(counts, 1.5), torch.tensor([1.0, 1.5, 0.0]))
    for weights in (losses.inverse_weights(counts), losses.effective_weights(counts)):
        assert weights[2] == 0.0
        assert 0.0 < weights[0] < weights[1]
        assert (weights * counts).sum() / counts.sum() == pytest.approx(1.0)
    smoothed = losses.smooth(torch.tensor([[1.0, 0.0, 0.0]]), 0.2, counts > 0)
    torch.testing.assert_close(smoothed, torch.tensor([[0.9, 0.1, 0.0]]))


def test_weights_may_be_given_as_numbers():
    given = loss_of(emotion_weights="neutral=3,surprise=0.5")
    torch.testing.assert_close(given.weights, torch.tensor([3.0, 1.0, 0.5]))
    expected = 3 * 0.5 * minus_log(0.7).sum() + 0.5 * minus_log(0.2).sum()
    torch.testing.assert_close(given(LOGITS, HALF), expected)


@pytest.mark.parametrize("name", ["ce", "kl", "focal", "ldam", "logit-adjusted"])
def test_a_picture_without_an_emotion_does_not_count(name: str):
    rng = torch.Generator().manual_seed(0)
    logits, targets = torch.randn(6, 8, generator=rng), torch.eye(8)[:6]
    loss = TrainingLoss(TrainConfig(backbone="b", data="d", loss=name), torch.full((8,), 5.0))
    targets[2:4] = 0.0
    rest = [0, 1, 4, 5]
    assert float(loss(logits, targets)) == pytest.approx(float(loss(logits[rest], targets[rest])))
    assert float(loss(logits[2:4], targets[2:4])) == 0.0


def test_the_multi_label_loss_leaves_out_pictures_without_an_emotion():
    loss = TrainingLoss(TrainConfig(backbone="b", data="d", target="multi"), torch.full((8,), 5.0))
    assert float(loss(torch.randn(3, 8), torch.zeros(3, 8))) == 0.0


def test_no_label_is_sampled_where_nobody_named_an_emotion():
    targets = torch.tensor([[0.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    sampled = losses.sample_labels(targets, torch.Generator().manual_seed(0))
    assert sampled.sum(dim=1).tolist() == [0.0, 1.0, 1.0]


def test_a_set_without_emotions_has_nothing_to_learn_of_them():
    loss = TrainingLoss(TrainConfig(backbone="b", data="d", loss="ldam"), torch.zeros(8))
    assert float(loss(torch.randn(2, 8), torch.zeros(2, 8))) == 0.0
    assert all(bool(tensor.isfinite().all()) for tensor in loss.buffers())
