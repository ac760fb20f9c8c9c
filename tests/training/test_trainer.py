import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_space.backbones.base import Backbone
from fer_space.data.faceset import Member
from fer_space.distributions import NO_ANSWER
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError, TrainingError, WeightsError
from fer_space.training import trainer
from fer_space.training.config import TrainConfig, read_config
from fer_space.training.data import LabelledPictures, check_faces
from fer_space.training.finish import logits_of, write_run_card
from fer_space.training.folds import Fold
from fer_space.training.initialise import preprocess_for, start_of
from fer_space.training.losses import concordance
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.recipe import Recipe
from fer_space.training.state import TrainState
from fer_space.training.trainer import (
    Task,
    open_run,
    steps_in_epoch,
    train,
    train_step,
    validation_figures,
)
from tests.networks import build_tiny, lively_tiny, striped_faces, write_weights

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


def task_of(
    config: TrainConfig = CONFIG,
    out: Path = Path(),
    network: Backbone | None = None,
    **changes: Any,
) -> Task:
    backbone = network or tiny_network(config.affect_weight > 0)
    recipe = Recipe.of(config)
    return Task(config, backbone, recipe, striped_faces(160), striped_faces(64, seed=1), out, **changes)


def state_of(task: Task) -> TrainState:
    return TrainState.start(task.network, task.config, 10, task.train_set.targets.sum(dim=0))


def run(out: Path, config: TrainConfig = CONFIG, *, resume: bool = False, stop_after: int = 0) -> TrainState:
    open_run(config, out, resume=resume)
    return train(task_of(config, out, resume=resume, stop_after=stop_after), Worker())


def test_learns_and_leaves_its_files(tiny: str, tmp_path: Path):
    state = run(tmp_path, CONFIG.changed(epochs=8))
    assert state.best > 0.9
    rows = list(csv.DictReader((tmp_path / "history.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == [str(i) for i in range(1, 9)]
    assert TrainConfig.from_dict(json.loads((tmp_path / "config.json").read_text())).epochs == 8
    written = {path.name: path.stat().st_mode for path in tmp_path.iterdir()}
    assert set(written) == {"config.json", "history.csv", "last.pt", "best.safetensors"}
    (tmp_path / "new").touch()
    assert set(written.values()) == {(tmp_path / "new").stat().st_mode}, "as the umask says"


def test_a_fold_reads_what_its_run_did_not_see(tiny: str, tmp_path: Path):
    faces = striped_faces(96, seed=2)
    kept = np.arange(len(faces)) % 3 > 0
    task = replace(task_of(CONFIG.changed(epochs=8), tmp_path), train_set=faces.select(kept))
    open_run(task.config, tmp_path, resume=False)
    held_out = faces.select(~kept)
    Fold(task, held_out, lambda *seen: logits_of(*seen).numpy(), "logits.npy")(Worker())
    read = np.load(tmp_path / "logits.npy")
    assert read.shape == (32, len(EMOTIONS))
    assert (read.argmax(axis=1) == held_out.labels.numpy()).mean() > 0.9


def test_a_killed_run_ends_with_the_weights_of_an_unbroken_one(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    whole = run(tmp_path / "whole")
    real, calls = trainer.train_step, []

    def killed(*args: object) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 13:  # in the middle of the second epoch
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(trainer, "train_step", killed)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "broken")
    monkeypatch.setattr(trainer, "train_step", real)
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
        {"optimizer": "adam", "dropout": 0.0},
        {"sam": 0.02},
        {"blur": 0.5, "jpeg": 0.3, "noise": 0.5, "gamma": 0.5, "decolour": 0.5},
        {"sampling": "faces=1.5"},
        {"accumulate": 2, "batch_size": 8},
    ],
    ids=str,
)
def test_every_option_learns_and_resumes_exactly(tiny: str, tmp_path: Path, changes: dict[str, object]):
    config = CONFIG.changed(epochs=8, early_epochs=0, early_size=0, **changes)
    whole = run(tmp_path / "whole", config)
    assert whole.best > 0.8
    run(tmp_path / "broken", config, stop_after=3)
    (tmp_path / "broken" / "history.csv").write_text("rubbish")
    resumed = run(tmp_path / "broken", config, resume=True)
    for name, tensor in whole.averaged.network.state_dict().items():
        assert torch.equal(tensor, resumed.averaged.network.state_dict()[name]), name
    assert torch.equal(whole.loss.weights, resumed.loss.weights)
    rows = [(tmp_path / folder / "history.csv").read_text().splitlines() for folder in ("whole", "broken")]
    assert [len(lines) for lines in rows] == [9, 9]


def test_the_head_learns_valence_and_arousal(tiny: str, tmp_path: Path):
    state = run(tmp_path, CONFIG.changed(epochs=8, affect_weight=1.0))
    faces = striped_faces(64, seed=1)
    inputs = preprocess_for(CONFIG).normalise(faces.pictures)
    affect = state.averaged.network(inputs).affect
    assert float(concordance(affect, faces.affect).min()) > 0.5


def test_a_frozen_backbone_trains_its_head_alone(tiny: str, tmp_path: Path):
    config = CONFIG.changed(freeze="backbone")
    before = tiny_network().state_dict()
    backbone = tiny_network()
    backbone.body.requires_grad_(False)
    train(task_of(config, tmp_path, backbone), Worker())
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, before[name]) == name.startswith("body."), name


def test_accumulated_batches_are_one_large_batch(tiny: str):
    networks = []
    for parts in (1, 2):
        config = CONFIG.changed(batch_size=32 // parts, accumulate=parts, target="cel", **STILL)
        backbone = tiny_network()
        backbone.head.dropout.p = 0.0
        task = task_of(config, network=backbone)
        state = state_of(task)
        backbone.eval()
        train_step(state, task, Worker(), torch.arange(32).split(config.batch_size), 12)
        networks.append(backbone.state_dict())
    for name, tensor in networks[0].items():
        torch.testing.assert_close(tensor, networks[1][name], rtol=1e-4, atol=1e-6, msg=name)


def test_resume_refuses_another_run_and_a_new_one_does_not_overwrite(tiny: str, tmp_path: Path):
    run(tmp_path, CONFIG.changed(epochs=1))
    with pytest.raises(InputError, match="another run"):
        run(tmp_path, CONFIG.changed(epochs=2), resume=True)
    with pytest.raises(InputError, match="--resume continues"):
        run(tmp_path, CONFIG.changed(epochs=1))


@dataclass(frozen=True)
class Share:
    """One worker's part of runs without dropout, one a way of mixing; the leader saves what they learned."""

    out: Path
    mixes: tuple[str, ...] = ("none",)

    def __call__(self, worker: Worker) -> None:
        weights = {}
        for mix in self.mixes:
            backbone = tiny_network(affect=False)
            backbone.head.dropout.p = 0.0
            task = task_of(CONFIG.changed(mix=mix), network=backbone)
            state = state_of(task)
            backbone.train()
            backbone.body[1].eval()  # running statistics see half a batch each: keep them out of this
            for start in range(0, 64, 16):
                train_step(state, task, worker, [torch.arange(start, start + 16)], 12)
            weights |= {f"{mix}.{name}": p.detach() for name, p in backbone.named_parameters()}
        if worker.leads:
            save_file(weights, self.out)


def test_two_workers_take_the_same_steps_as_one(tmp_path: Path):
    for size in (1, 2):
        job = Share(tmp_path / f"{size}.safetensors", ("none", "mixup", "snapmix"))
        run_workers(job, size, torch.device("cpu"))
    one, two = (load_file(tmp_path / f"{size}.safetensors") for size in (1, 2))
    assert {name.partition(".")[0] for name in one} == {"none", "mixup", "snapmix"}
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
        {"sampling": "faces:3"},
        {"sampling": "faces=1.5", "imbalance": "oversample"},
        {"rebalance_limit": 5},
        {"emotion_weights": "joy=2"},
        {"emotion_weights": "fear=2", "class_weights": "inverse"},
        {"size": -5},
        {"lr_body": -1.0},
        {"native_size": 0},
        {"ema_decay": 2.0},
    ],
    ids=str,
)
def test_config_refuses_what_would_fail_later(change: dict[str, object]):
    with pytest.raises(InputError, match="--"):
        CONFIG.changed(**change)


def test_config_refuses_unknown_fields_and_nonsense():
    with pytest.raises(InputError, match="epoch_count"):
        TrainConfig.from_dict({"backbone": "x", "data": "y", "epoch_count": 3})
    with pytest.raises(InputError, match="--epochs must lie between 1"):
        CONFIG.changed(epochs=0)
    with pytest.raises(InputError, match="early-size"):
        CONFIG.changed(early_size=0)
    with pytest.raises(InputError, match="need each other"):
        CONFIG.changed(early_epochs=0)
    with pytest.raises(InputError, match="leaves none of 3 epochs"):
        CONFIG.changed(epochs=3, class_weights="effective", defer=0.7)


def test_a_loss_of_the_head_joins_that_of_the_logits(tiny: str):
    losses = []
    for extra in (0.0, 2.5):
        task = task_of(CONFIG.changed(ema_decay=0.0))
        backbone = task.network
        backbone.head.own_loss = lambda output, targets, extra=extra: output.logits.mean() * 0.0 + extra
        torch.manual_seed(0)
        losses.append(float(train_step(state_of(task), task, Worker(), (torch.arange(16),), 12)[0]))
    assert losses[1] - losses[0] == pytest.approx(2.5, abs=1e-5)


def test_a_checkpoint_with_one_flipped_byte_is_noticed(tiny: str, tmp_path: Path):
    run(tmp_path, CONFIG.changed(epochs=2), stop_after=1)
    path = tmp_path / "last.pt"
    whole = path.read_bytes()
    for place in (30, len(whole) // 3, len(whole) // 2, len(whole) - 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 64]) + whole[place + 1 :])
        with pytest.raises(WeightsError, match=r"last\.pt"):
            run(tmp_path, CONFIG.changed(epochs=2), resume=True)
    path.write_bytes(b"")
    with pytest.raises(WeightsError, match=r"last.pt is damaged"):
        run(tmp_path, CONFIG.changed(epochs=2), resume=True)


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"backbone": 3}'])
def test_a_damaged_config_is_named(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(DataError, match=r"config.json"):
        read_config(tmp_path / "config.json")


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_what_was_good(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run(tmp_path, CONFIG, stop_after=1)
    kept = (tmp_path / "best.safetensors").read_bytes()
    real, calls = trainer.train_step, []

    def spoiled(state: TrainState, *rest: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 4:
            with torch.no_grad():
                state.backbone.head.classifier.bias.fill_(torch.inf)
        return real(state, *rest)

    monkeypatch.setattr(trainer, "train_step", spoiled)
    with pytest.raises(TrainingError, match="epoch 2, step 4"):
        run(tmp_path, CONFIG, resume=True)
    assert (tmp_path / "best.safetensors").read_bytes() == kept
    monkeypatch.setattr(trainer, "train_step", real)
    assert len(run(tmp_path, CONFIG, resume=True).history) == 3


def two_sets() -> LabelledPictures:
    """Sixty faces of one set and four of another that knows happiness and sadness alone."""
    origins = torch.tensor([0] * 60 + [1] * 4)
    labels = torch.tensor([0, 1] * 30 + [1, 1, 3, 3])
    members = (Member("first", EMOTIONS), Member("second", ("happiness", "sadness")))
    return replace(striped_faces(64), members=members, origins=origins, labels=labels)


def test_each_set_has_its_part_in_the_mixed_figure():
    logits = torch.zeros(64, 8)
    logits[:, 0] = 3.0  # neutral everywhere, which the second set does not know
    logits[:, 1] = 1.0
    figures = validation_figures(logits, two_sets())
    assert figures["valid_accuracy"] == figures["valid_balanced_accuracy"] == 0.5
    assert figures["mixed"] == pytest.approx((0.5 + 0.5) / 2)
    logits[62:, 3] = 2.0
    assert validation_figures(logits, two_sets())["mixed"] == pytest.approx((0.5 + 1.0) / 2)


def test_the_mixed_figure_may_choose_the_epoch(tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    figures = iter([(0.9, 0.1), (0.8, 0.3), (0.7, 0.2)])

    def scored(*_: object) -> dict[str, float]:
        plain, mixed = next(figures)
        return {"valid_loss": 1.0, "valid_accuracy": plain, "mixed": mixed}

    monkeypatch.setattr(trainer, "validate", scored)
    assert run(tmp_path, CONFIG.changed(criterion="mixed")).best == 0.3


def test_a_set_that_is_shown_more_often_makes_longer_epochs(tiny: str):
    faces = two_sets()
    task = replace(task_of(CONFIG.changed(batch_size=4)), train_set=faces)
    assert steps_in_epoch(task) == 16
    more = replace(task, config=CONFIG.changed(batch_size=4, sampling="second=6,first=0.5"))
    assert steps_in_epoch(more) == (30 + 24) // 4


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"labels": "one"}, "one emotion alone"),
        ({"valid": "strange"}, "No validation face"),
        ({"sampling": "third=2"}, "no set “third”"),
        ({"processes": 40, "batch_size": 80}, "two for each process"),
    ],
    ids=str,
)
def test_faces_that_would_fail_after_hours_are_refused_at_once(changes: dict[str, Any], words: str):
    train_set, valid_set = two_sets(), striped_faces(64)
    if changes.pop("labels", ""):
        train_set = replace(train_set, targets=torch.eye(8)[torch.zeros(64, dtype=torch.int64)])
    if changes.pop("valid", ""):
        valid_set = replace(valid_set, labels=valid_set.labels + 4)
    with pytest.raises(InputError, match=words):
        check_faces(CONFIG.changed(**changes), train_set, valid_set)


def unlabelled(faces: LabelledPictures, rows: slice = slice(None)) -> LabelledPictures:
    """The same faces; of those at `rows` valence and arousal alone are known."""
    labels, targets = faces.labels.clone(), faces.targets.clone()
    labels[rows], targets[rows] = NO_ANSWER, 0.0
    return replace(faces, labels=labels, targets=targets)


@pytest.mark.parametrize("imbalance", ["none", "oversample", "balanced"])
def test_valence_and_arousal_alone_leave_the_emotions_of_a_frozen_start(
    tiny: str, tmp_path: Path, imbalance: str
):
    start = tmp_path / "start"
    card = write_weights(start, lively_tiny(), temperature=0.75, boost=(0.5,) * 8)
    config = CONFIG.changed(
        epochs=6, early_epochs=0, early_size=0, affect_weight=1.0, freeze="backbone", imbalance=imbalance
    ).changed(init=str(start / "tiny.safetensors"))
    network = start_of(config).network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    faces = unlabelled(striped_faces(160))
    task = replace(task_of(config, tmp_path / "run", network), train_set=faces)
    task = replace(task, valid_set=unlabelled(task.valid_set))
    check_faces(config, task.train_set, task.valid_set)
    open_run(config, task.out, resume=False)
    state = train(task, Worker())
    assert state.best > state.history[0]["valid_ccc"] + 0.1
    assert set(state.history[0]) == {"epoch", "train_loss", "valid_loss", "valid_ccc", "seconds"}
    assert state.history[-1]["valid_loss"] == pytest.approx(1.0 - state.history[-1]["valid_ccc"])
    for name, tensor in state.averaged.network.state_dict().items():
        assert torch.equal(tensor, before[name]) != name.startswith("head.affect"), name
    made = write_run_card(config, task.train_set, task.valid_set, task.out)
    assert (made.labels, made.bias, made.temperature) == (card.labels, card.bias, card.temperature)
    assert (made.affect, made.validation, made.boost) == (True, None, ())
    assert made.data == "invented+folder"


def test_what_valence_and_arousal_alone_need_is_said(tiny: str, tmp_path: Path):
    train_set, valid_set = unlabelled(striped_faces(64)), unlabelled(striped_faces(64, seed=1))
    with pytest.raises(InputError, match="without --affect-weight there is nothing to learn"):
        check_faces(CONFIG, train_set, valid_set)
    with pytest.raises(InputError, match="join a set that has emotions, or name weights of tiny"):
        check_faces(CONFIG.changed(affect_weight=1.0), train_set, valid_set)
    write_weights(tmp_path, lively_tiny())
    config = CONFIG.changed(affect_weight=1.0, init=str(tmp_path / "tiny.safetensors"))
    check_faces(config, train_set, valid_set)
    unknown = replace(valid_set, affect=torch.full((64, 2), torch.nan))
    with pytest.raises(InputError, match="too few such faces in its valid split"):
        check_faces(config, train_set, unknown)


@pytest.mark.parametrize("target", ["cel", "pld"])
def test_faces_with_valence_and_arousal_alone_join_faces_with_emotions(
    tiny: str, tmp_path: Path, target: str
):
    config = CONFIG.changed(
        epochs=8, affect_weight=1.0, target=target, early_epochs=0, early_size=0, mix="mixup"
    )
    faces = unlabelled(striped_faces(160), slice(0, None, 2))
    faces = replace(faces, affect=faces.affect.masked_fill(faces.labelled[:, None], torch.nan))
    task = replace(task_of(config, tmp_path), train_set=faces)
    task = replace(task, valid_set=unlabelled(task.valid_set, slice(0, 20)))
    check_faces(config, task.train_set, task.valid_set)
    open_run(config, tmp_path, resume=False)
    state = train(task, Worker())
    assert state.best > 0.9
    assert state.history[-1]["valid_ccc"] > 0.3
    card = write_run_card(config, task.train_set, task.valid_set, tmp_path)
    assert card.validation is not None
    assert card.validation.calibrated.n == 44
