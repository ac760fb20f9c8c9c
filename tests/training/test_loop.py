import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_space.backbones.base import Backbone
from fer_space.errors import InputError
from fer_space.training import loop
from fer_space.training.config import TrainConfig
from fer_space.training.losses import concordance
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.recipe import Recipe
from fer_space.training.start import open_run, preprocess_for
from fer_space.training.state import TrainState
from fer_space.training.step import Task, train_step
from tests.networks import build_tiny, striped_faces

CONFIG = TrainConfig(
    backbone="tiny",
    data="folder:x",
    target="pld",
    epochs=3,
    batch_size=16,
    size=12,
    native_size=12,
    lr_body=0.01,
    lr_head=0.01,
    ema_decay=0.9,
    early_size=8,
    early_epochs=1,
    label_smoothing=0.05,
    init="none",
)


# no random look, so that a batch does not depend on how its pictures were drawn
STILL: dict[str, float] = dict.fromkeys(
    ("rotate", "zoom", "shift", "brightness", "contrast", "flip", "erase"), 0.0
)


def tiny_network(affect: bool = False) -> Backbone:
    torch.manual_seed(3)
    return build_tiny(8, affect)


def task_of(config: TrainConfig = CONFIG, worker: Worker | None = None) -> Task:
    faces, held_out = striped_faces(160), striped_faces(64, seed=1)
    return Task(config, faces, held_out, Recipe.of(config), worker or Worker())


def run(out: Path, config: TrainConfig = CONFIG, *, resume: bool = False) -> TrainState:
    open_run(config, out, resume=resume)
    return loop.train(task_of(config), tiny_network(config.affect_weight > 0), out, resume=resume)


def test_learns_and_leaves_its_files(tiny: str, tmp_path: Path):
    state = run(tmp_path, replace(CONFIG, epochs=8))
    assert state.best > 0.9
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(i) for i in range(1, 9)]
    assert TrainConfig.from_dict(json.loads((tmp_path / "config.json").read_text())).epochs == 8
    assert not list(tmp_path.glob("*.partial"))


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = run(tmp_path / "whole")
    real, calls = loop.train_step, []

    def killed(*args: object) -> float:
        calls.append(1)
        if len(calls) == 13:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    monkeypatch.setattr(loop, "train_step", real)
    torch.manual_seed(99)
    resumed = run(tmp_path / "broken", resume=True)
    for name, tensor in whole.averaged.network.state_dict().items():
        assert torch.equal(tensor, resumed.averaged.network.state_dict()[name]), name
    assert (tmp_path / "whole/best.safetensors").read_bytes() == (
        tmp_path / "broken/best.safetensors"
    ).read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"mix": "mixup"},
        {"mix": "cutmix"},
        {"mix": "snapmix"},
        {"mask": 0.5, "upper": 0.2},
        {"loss": "focal"},
        {"loss": "ldam", "class_weights": "effective", "defer": 0.5},
        {"loss": "logit-adjusted"},
        {"loss": "kl", "class_weights": "dynamic"},
        {"imbalance": "sqrt"},
        {"target": "multi", "label_smoothing": 0.0},
        {"affect_weight": 1.0},
        {"precision": "bf16"},
        {"accumulate": 2, "batch_size": 8},
    ],
    ids=str,
)
def test_every_option_learns_and_resumes_exactly(tiny: str, tmp_path: Path, changes: dict[str, object]):
    config = replace(CONFIG, epochs=8, early_epochs=0, early_size=0, **changes)  # type: ignore[arg-type]
    whole = run(tmp_path / "whole", config)
    assert whole.best > 0.8
    open_run(config, tmp_path / "broken", resume=False)
    network = tiny_network(config.affect_weight > 0)
    loop.train(task_of(config), network, tmp_path / "broken", stop_after=3)
    resumed = run(tmp_path / "broken", config, resume=True)
    for name, tensor in whole.averaged.network.state_dict().items():
        assert torch.equal(tensor, resumed.averaged.network.state_dict()[name]), name
    assert torch.equal(whole.loss.weights, resumed.loss.weights)


def test_the_head_learns_valence_and_arousal(tiny: str, tmp_path: Path):
    state = run(tmp_path, replace(CONFIG, epochs=8, affect_weight=1.0))
    faces = striped_faces(64, seed=1)
    inputs = preprocess_for(CONFIG).normalise(faces.pictures)
    affect = state.averaged.network(inputs).affect
    assert float(concordance(affect, faces.affect).min()) > 0.5


def test_a_frozen_backbone_trains_its_head_alone(tiny: str, tmp_path: Path):
    config = replace(CONFIG, freeze="backbone")
    before = tiny_network().state_dict()
    backbone = tiny_network()
    backbone.body.requires_grad_(False)
    open_run(config, tmp_path, resume=False)
    loop.train(task_of(config), backbone, tmp_path)
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("body."), name


def test_accumulated_batches_are_one_large_batch(tiny: str):
    networks = []
    for parts in (1, 2):
        config = replace(CONFIG, batch_size=32 // parts, accumulate=parts, target="cel", **STILL)
        backbone = tiny_network()
        backbone.head.dropout.p = 0.0
        task = task_of(config)
        state = TrainState.start(backbone, config, 10, task.train_set.targets.sum(dim=0))
        backbone.eval()
        train_step(state, task, torch.arange(32).split(config.batch_size), 12)
        networks.append(backbone.state_dict())
    for name, tensor in networks[0].items():
        torch.testing.assert_close(tensor, networks[1][name], rtol=1e-4, atol=1e-6, msg=name)


def test_resume_refuses_another_run_and_a_new_one_does_not_overwrite(tiny: str, tmp_path: Path):
    run(tmp_path, replace(CONFIG, epochs=1))
    with pytest.raises(InputError, match="another run"):
        run(tmp_path, replace(CONFIG, epochs=2), resume=True)
    with pytest.raises(InputError, match="--resume continues"):
        run(tmp_path, replace(CONFIG, epochs=1))


@dataclass(frozen=True)
class Share:
    """One worker's part of a run without dropout; the leader saves its gradients' effect."""

    out: Path
    config: TrainConfig = CONFIG

    def __call__(self, worker: Worker) -> None:
        backbone = tiny_network(self.config.affect_weight > 0)
        backbone.head.dropout.p = 0.0
        task = task_of(self.config, worker)
        state = TrainState.start(backbone, self.config, 10, task.train_set.targets.sum(dim=0))
        backbone.train()
        backbone.body[1].eval()  # running statistics see half a batch each: keep them out of this
        for start in range(0, 64, 16):
            train_step(state, task, [torch.arange(start, start + 16)], 12)
        if worker.leads:
            save_file({name: p.detach() for name, p in backbone.named_parameters()}, self.out)


@pytest.mark.parametrize("mix", ["none", "mixup", "snapmix"])
def test_two_workers_take_the_same_steps_as_one(tmp_path: Path, mix: str):
    config = replace(CONFIG, mix=mix)  # type: ignore[arg-type]
    for size in (1, 2):
        run_workers(Share(tmp_path / f"{size}.safetensors", config), size, torch.device("cpu"))
    one, two = (load_file(tmp_path / f"{size}.safetensors") for size in (1, 2))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 15, "processes": 2},
        {"processes": 0},
        {"target": "multi"},
        {"warmup": 1.5},
        {"limit": -5},
        {"size": -5},
        {"lr_body": -1.0},
        {"native_size": 0},
        {"ema_decay": 2.0},
    ],
    ids=str,
)
def test_config_refuses_what_would_fail_later(change: dict[str, object]):
    with pytest.raises(InputError, match="--"):
        replace(CONFIG, **change)  # type: ignore[arg-type]


def test_config_refuses_unknown_fields_and_nonsense():
    with pytest.raises(InputError, match="epoch_count"):
        TrainConfig.from_dict({"backbone": "x", "data": "y", "epoch_count": 3})
    with pytest.raises(InputError, match="at least 1 epoch"):
        replace(CONFIG, epochs=0)
    with pytest.raises(InputError, match="early-size"):
        replace(CONFIG, early_size=0)


def test_a_loss_of_the_head_joins_that_of_the_logits(tiny: str):
    task, losses = task_of(replace(CONFIG, ema_decay=0.0)), []
    for extra in (0.0, 2.5):
        backbone = tiny_network()
        backbone.head.own_loss = lambda output, targets, extra=extra: output.logits.mean() * 0.0 + extra
        state = TrainState.start(backbone, task.config, 10, task.train_set.targets.sum(dim=0))
        torch.manual_seed(0)
        losses.append(train_step(state, task, (torch.arange(16),), 12))
    assert losses[1] - losses[0] == pytest.approx(2.5, abs=1e-5)
