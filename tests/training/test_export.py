"""From a finished run to weights."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from fer_space import cli
from fer_space.backbones.base import Backbone
from fer_space.card import BriefRates, Card, Validation, read_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, WeightsError
from fer_space.files import sha256_of
from fer_space.registry import Registry
from fer_space.training import export as module
from fer_space.training.export import export, with_fp16_check
from fer_space.training.finish import write_run_card
from tests.networks import lively_tiny, striped_faces
from tests.training.test_run import write_folder
from tests.training.test_trainer import CONFIG, run


@pytest.fixture
def faces(tmp_path: Path) -> str:
    write_folder(tmp_path / "faces")
    return f"folder:{tmp_path / 'faces'}"


def validated(card: Card) -> Card:
    rates = BriefRates(n=1, accuracy=1.0, balanced_accuracy=1.0, ece=0.0)
    validation = Validation(plain=rates, before_temperature=rates, calibrated=rates)
    return card.model_copy(update={"validation": validation})


def say_sha256(run: Path) -> None:
    """Write into a run's card what its weights are now."""
    told = read_card(run / "card.json").model_copy(update={"sha256": sha256_of(run / "best.safetensors")})
    (run / "card.json").write_text(told.to_json())


def undecided() -> Backbone:
    """Answers neutral, or happiness once its weights are rounded to half precision."""
    network = lively_tiny()
    with torch.no_grad():
        network.head.classifier.weight.fill_(1.0)
        network.head.classifier.bias.zero_()
        network.head.classifier.weight[0] += 4e-4  # half of the step from 1 in fp16 is 4.88e-4
        network.head.classifier.bias[1] = 1e-3
        network.body[3].weight.zero_()
        network.body[3].bias.fill_(1.0)  # every embedding is twelve ones
    return network


def test_what_half_precision_does_is_measured(faces: str, tiny_weights: tuple[Path, Card]):
    told, harmless = with_fp16_check(validated(tiny_weights[1]), lively_tiny(), faces)
    assert harmless
    effect = told.validation.fp16
    assert effect.n == 32
    assert abs(effect.accuracy_full - effect.accuracy_half) <= 0.0005


def test_half_precision_is_measured_on_faces_with_an_emotion(tmp_path: Path, tiny_weights: tuple[Path, Card]):
    write_folder(tmp_path / "faces")
    paths = sorted((tmp_path / "faces" / "valid").rglob("*.png"))
    lines = [f"{path},{path.parent.name},," for path in paths[:8]] + [
        f"{path},,0.5,0.5" for path in paths[8:]
    ]
    table = tmp_path / "some.csv"
    table.write_text("\n".join(["file,label,valence,arousal", *lines]))
    told, _ = with_fp16_check(validated(tiny_weights[1]), lively_tiny(), f"csv:{table}")
    assert told.validation.fp16.n == 8
    table.write_text("\n".join(["file,label,valence,arousal", *lines[8:]]))
    with pytest.raises(InputError, match="--check needs faces with an emotion"):
        with_fp16_check(validated(tiny_weights[1]), lively_tiny(), f"csv:{table}")


def test_rounding_that_changes_answers_is_noticed(faces: str, tiny_weights: tuple[Path, Card]):
    card = validated(tiny_weights[1]).model_copy(update={"bias": (0.0,) * 8})
    told, harmless = with_fp16_check(card, undecided(), faces)
    effect = told.validation.fp16
    assert not harmless
    assert effect.changed_answers == 32
    assert effect.accuracy_full != effect.accuracy_half


def test_export_keeps_full_precision_where_it_matters(
    faces: str, tiny: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    words = f"--backbone {tiny} --init none --epochs 1 --batch-size 8 --size 12 --native-size 12 --device cpu"
    assert cli.main(["train", "--data", faces, *words.split(), "--out", str(tmp_path / "run")]) == 0
    assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / "good"), "--check", faces]) == 0
    assert "answers differ" in capsys.readouterr().out
    assert load_file(tmp_path / "good" / "tiny.safetensors")["body.0.weight"].dtype == torch.float16
    save_file(undecided().state_dict(), tmp_path / "run" / "best.safetensors")
    say_sha256(tmp_path / "run")
    card = export(tmp_path / "run", tmp_path / "bad", check=faces)
    kept = load_file(tmp_path / "bad" / "tiny.safetensors")
    assert {tensor.dtype for tensor in kept.values() if tensor.is_floating_point()} == {torch.float32}
    assert card.validation.fp16.changed_answers > 0


@pytest.fixture
def finished(tiny: str, tmp_path: Path) -> Path:
    """A finished run of two emotions."""
    run(tmp_path / "run", CONFIG.changed(epochs=1))
    write_run_card(CONFIG, striped_faces(160), striped_faces(64, seed=1), tmp_path / "run")
    return tmp_path / "run"


def test_exported_weights_are_those_of_the_run_without_what_was_not_trained(finished: Path, tmp_path: Path):
    card = export(finished, tmp_path / "weights")
    assert card.labels == EMOTIONS[:2]
    network = Registry(tmp_path / "weights").source("tiny").build()
    trained = load_file(finished / "best.safetensors")["head.classifier.weight"][:2]
    torch.testing.assert_close(network.head.classifier.weight, trained, atol=1e-3, rtol=1e-3)
    with pytest.raises(InputError, match="no finished run"):
        export(tmp_path, tmp_path / "weights")


def test_what_is_there_is_replaced_by_force_alone(finished: Path, tmp_path: Path):
    folder = tmp_path / "weights"
    export(finished, folder)
    before = (folder / "tiny.json").read_bytes()
    with pytest.raises(InputError, match="--force replaces it"):
        export(finished, folder)
    assert export(finished, folder, name="mine").name == "mine"
    assert (folder / "mine.safetensors").is_file()
    assert (folder / "tiny.json").read_bytes() == before
    export(finished, folder, force=True)
    with pytest.raises(InputError, match="no name of a file"):
        export(finished, folder, name="../mine")


def test_shipped_weights_have_names_of_their_architecture(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "WEIGHTS_DIR", tmp_path / "shipped")
    for name in ("dan", "mine"):
        with pytest.raises(InputError, match="takes tiny for this network"):
            export(finished, tmp_path / "shipped", name=name)
    assert export(finished, tmp_path / "shipped").name == "tiny"


def test_weights_that_are_no_numbers_never_ship(finished: Path, tmp_path: Path):
    tensors = load_file(finished / "best.safetensors")
    tensors["head.classifier.bias"][0] = torch.nan
    save_file(tensors, finished / "best.safetensors")
    with pytest.raises(WeightsError, match="damaged or is not the file that its card describes"):
        export(finished, tmp_path / "weights")
    say_sha256(finished)
    with pytest.raises(WeightsError, match="not finite"):
        export(finished, tmp_path / "weights")
    assert not (tmp_path / "weights").exists()
