import csv
import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_space.errors import InputError
from fer_space.imaging import encode_png
from fer_space.labels import EMOTIONS
from fer_space.training import loop
from fer_space.training.config import TrainConfig
from fer_space.training.finish import command_of, export, write_card
from fer_space.training.parallel import Worker, run_workers
from fer_space.training.run import run as run_whole
from fer_space.training.state import TrainState
from fer_space.weights import load_backbone
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


def tiny_network() -> torch.nn.Module:
    torch.manual_seed(3)
    return build_tiny(8)


def run(out: Path, config: TrainConfig = CONFIG, *, resume: bool = False) -> TrainState:
    faces, held_out = striped_faces(160), striped_faces(64, seed=1)
    loop.open_run(config, out, resume=resume)
    return loop.train(config, faces, held_out, tiny_network(), out, resume=resume)


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


def test_resume_refuses_another_run_and_a_new_one_does_not_overwrite(tiny: str, tmp_path: Path):
    run(tmp_path, replace(CONFIG, epochs=1))
    with pytest.raises(InputError, match="another run"):
        run(tmp_path, replace(CONFIG, epochs=2), resume=True)
    with pytest.raises(InputError, match="--resume continues"):
        run(tmp_path, replace(CONFIG, epochs=1))


def write_folder(folder: Path) -> None:
    for split in ("train", "valid"):
        faces = striped_faces(32, seed=len(split))
        for i, (picture, label) in enumerate(zip(faces.pictures, faces.labels, strict=True)):
            path = folder / split / EMOTIONS[int(label)] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_png(np.repeat(picture.numpy().transpose(1, 2, 0), 3, axis=2)))


def test_two_processes_stopped_and_resumed_end_like_an_unbroken_run(tmp_path: Path):
    write_folder(tmp_path / "faces")
    config = replace(
        CONFIG, backbone="efficientnet_lite0", data=f"folder:{tmp_path / 'faces'}", epochs=2, processes=2
    )
    run_whole(config, tmp_path / "whole")
    run_whole(config, tmp_path / "broken", stop_after=1)
    run_whole(config, tmp_path / "broken", resume=True)
    whole, broken = (load_file(tmp_path / out / "best.safetensors") for out in ("whole", "broken"))
    for name, tensor in whole.items():
        assert torch.equal(tensor, broken[name]), name
    with pytest.raises(InputError, match="own folder"):
        run_whole(replace(config, init=str(tmp_path / "whole/best.safetensors")), tmp_path / "whole")
    with pytest.raises(InputError, match="does not hold the weights"):
        run_whole(replace(config, init=str(tmp_path / "faces")), tmp_path / "other")


@dataclass(frozen=True)
class Share:
    """One worker's part of a run without dropout; the leader saves its gradients' effect."""

    out: Path

    def __call__(self, worker: Worker) -> None:
        backbone = tiny_network()
        backbone.head.dropout.p = 0.0
        state = TrainState.start(backbone, CONFIG, 10)
        backbone.train()
        backbone.body[1].eval()  # running statistics see half a batch each: keep them out of this
        faces = striped_faces(64)
        for start in range(0, 64, 16):
            loop.train_step(state, CONFIG, faces, torch.arange(start, start + 16), 12, worker)
        if worker.leads:
            save_file({name: p.detach() for name, p in backbone.named_parameters()}, self.out)


def test_two_workers_take_the_same_steps_as_one(tmp_path: Path):
    for size in (1, 2):
        run_workers(Share(tmp_path / f"{size}.safetensors"), size)
    one, two = (load_file(tmp_path / f"{size}.safetensors") for size in (1, 2))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-6, msg=name)


def test_finish_calibrates_and_exports(tiny: str, tmp_path: Path):
    run(tmp_path / "run")
    card = write_card(CONFIG, striped_faces(160), striped_faces(64, seed=1), tmp_path / "run")
    assert card.temperature > 0.0
    assert card.results["valid"]["calibrated"]["n"] == 64
    exported = export(tmp_path / "run", tmp_path / "weights")
    backbone = load_backbone(exported, tmp_path / "weights")
    trained = load_file(tmp_path / "run" / "best.safetensors")
    torch.testing.assert_close(
        backbone.head.classifier.weight, trained["head.classifier.weight"], atol=1e-3, rtol=1e-3
    )
    with pytest.raises(InputError, match="no finished run"):
        export(tmp_path, tmp_path / "weights")


def test_command_names_what_differs_from_the_defaults(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    config = TrainConfig(backbone="tiny", data="ferplus:/somewhere", epochs=5, gray=False)
    words = "fer-space train --backbone tiny --data ferplus:DIR --out RUN --epochs 5 --no-gray"
    assert command_of(config) == words
    monkeypatch.chdir(tmp_path)
    faces = striped_faces(64)
    loop.open_run(replace(CONFIG, size=8), Path("warm"), resume=False)
    loop.train(replace(CONFIG, size=8), faces, faces, tiny_network(), Path("warm"), stop_after=2)
    both = command_of(replace(config, init="warm/best.safetensors"))
    assert " --out warm " in both
    assert f" --stop-after 2 && {words} --init warm/best.safetensors" in both


@pytest.mark.parametrize(
    "change",
    [
        {"batch_size": 15, "processes": 2},
        {"processes": 0},
        {"target": "multi"},
        {"warmup": 1.5},
        {"limit": -5},
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
