import pytest
import torch

from fer_space.training.config import TrainConfig
from fer_space.training.optim import AveragedWeights, build_optimizer, build_schedule
from tests.networks import build_tiny


def config(**changes: object) -> TrainConfig:
    return TrainConfig(backbone="tiny", data="none:none", **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["adamw", "adam", "sgd"])
def test_body_and_head_have_their_rates_and_biases_no_decay(name: str):
    backbone = build_tiny(8)
    optimizer = build_optimizer(backbone, config(optimizer=name, lr_body=0.1, lr_head=0.2))
    by_parameter = {id(p): g for g in optimizer.param_groups for p in g["params"]}
    head = backbone.head.classifier
    assert by_parameter[id(head.weight)]["lr"] == 0.2
    assert by_parameter[id(head.bias)]["weight_decay"] == 0.0
    assert by_parameter[id(backbone.body[0].weight)]["lr"] == 0.1
    assert len(by_parameter) == len(list(backbone.parameters()))


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.25, 0.5, 0.99])
@pytest.mark.parametrize("total", range(1, 11))
def test_the_shortest_runs_have_a_schedule(total: int, warmup: float):
    settings = config(epochs=total, warmup=warmup)
    optimizer = build_optimizer(build_tiny(8), settings)
    steps = build_schedule(optimizer, settings, steps_per_epoch=1)
    rates = []
    for _ in range(total):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        steps.step()
    assert 0.0 < min(rates) <= max(rates) <= settings.lr_body * 1.0001


@pytest.mark.parametrize(
    ("schedule", "peak_at"), [("onecycle", 20), ("cosine", 0), ("step", 0)], ids=lambda value: str(value)
)
def test_schedules_peak_where_they_should_and_end_low(schedule: str, peak_at: int):
    settings = config(schedule=schedule, epochs=10, warmup=0.2, lr_body=1.0, lr_head=1.0)
    optimizer = build_optimizer(build_tiny(8), settings)
    steps = build_schedule(optimizer, settings, steps_per_epoch=10)
    rates = []
    for _ in range(100):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        steps.step()
    assert max(rates) == pytest.approx(1.0, rel=0.01)
    assert abs(rates.index(max(rates)) - peak_at) <= 1
    assert rates[-1] < 0.02


def test_average_by_hand():
    network = build_tiny(8)
    average = AveragedWeights(network, decay=0.5)
    start = network.body[0].weight.detach().clone()
    with torch.no_grad():
        network.body[0].weight += 1.0
        network.body[1].num_batches_tracked += 3
    average.update()  # the first decay is (1 + 0) / (10 + 0)
    torch.testing.assert_close(average.network.body[0].weight, start + 0.9)
    assert average.network.body[1].num_batches_tracked == 3


def test_no_decay_is_the_network_itself():
    network = build_tiny(8)
    average = AveragedWeights(network, decay=0.0)
    with torch.no_grad():
        network.body[0].weight += 1.0
    average.update()
    torch.testing.assert_close(average.network.body[0].weight, network.body[0].weight)
