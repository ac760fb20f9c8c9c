"""What models exist, and what a name means."""

from pathlib import Path

import pytest
import torch

from fer_space.card import Card, paths_of, write_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import MissingDependencyError, UnknownNameError, WeightsError
from fer_space.external.specs import MANIFEST
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.registry import Registry, file_name_of, source_of
from tests.networks import lively_tiny, toy_card, write_weights


def test_a_model_that_appears_while_running_is_listed(tiny: str, tmp_path: Path):
    registry = Registry(tmp_path)
    assert registry.names() == ()
    write_weights(tmp_path, lively_tiny())
    assert registry.names() == ("tiny",)


def test_a_changed_card_is_read_again_and_an_unchanged_one_is_not(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    registry = Registry(folder)
    assert registry.card("tiny") is registry.card("tiny")
    write_card(card.model_copy(update={"temperature": 9.25}), folder)
    assert registry.card("tiny").temperature == 9.25


def test_cards_of_other_models_and_networks_are_refused(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    path = paths_of("tiny", folder)[1]
    for change, sentence in (
        ({"name": "dan"}, "card of dan"),
        ({"architecture": "a:b"}, "its card is for a:b"),
    ):
        path.write_text(card.model_copy(update=change).to_json())
        with pytest.raises(WeightsError, match=sentence):
            Registry(folder).card("tiny")


def test_tensors_that_do_not_fit_the_card_are_refused(tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    write_card(card.model_copy(update={"labels": card.labels[:5], "bias": card.bias[:5]}), folder)
    with pytest.raises(WeightsError, match="does not hold the tensors"):
        Registry(folder).source("tiny").build()


def test_unknown_and_absent_models_are_sentences(tiny: str, tmp_path: Path):
    registry = Registry(tmp_path)
    with pytest.raises(UnknownNameError, match=r"efficientnet_lite0.*enet_b0_8_va_mtl"):
        registry.source("resnet_9000")
    with pytest.raises(WeightsError, match="no weights for tiny"):
        registry.card("tiny")
    with pytest.raises(MissingDependencyError, match="fer-space fetch enet_b2_8"):
        registry.card("enet_b2_8")
    assert registry.source("enet_b2_8").title == MANIFEST["enet_b2_8"].title


def test_user_models_may_have_fewer_emotions(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch):
    labels = ("fear", "neutral", "anger")
    write_weights(tmp_path, lively_tiny(classes=3), name="mine", labels=labels, bias=(0.0,) * 3)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    source = Registry(tmp_path / "none").source("mine")
    assert source.kind == "user"
    assert source.card().labels == labels
    assert source.build().head.classifier.out_features == 3


def test_a_run_that_learned_fewer_emotions_is_read_as_it_lies(
    tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch
):
    """Its best weights have a column for each of the eight, its card names those that its faces taught."""
    labels = ("neutral", "sadness", "fear")
    whole = lively_tiny()
    write_weights(tmp_path, whole, name="mine", labels=labels, bias=(0.0,) * 3)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    columns = [EMOTIONS.index(label) for label in labels]
    for source in (Registry(tmp_path / "none").source("mine"), source_of(f"folder:{tmp_path}")):
        kept = source.build().head.classifier.weight
        assert torch.equal(kept, whole.head.classifier.weight[columns])


def test_user_models_must_not_take_a_name(tmp_path: Path, tiny: str, monkeypatch: pytest.MonkeyPatch):
    write_weights(tmp_path, lively_tiny(), name="dan")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    registry = Registry(tmp_path / "none")
    assert registry.names() == ()
    assert "a name taken here" in " ".join(registry.problems().values())


def test_names_become_file_names():
    assert file_name_of("hub:a/b c") == "hub-a-b-c"
    assert toy_card().name == file_name_of("tiny")


def test_a_folder_of_weights_may_be_text(tiny_weights: tuple[Path, Card]):
    assert Registry(str(tiny_weights[0])).source("tiny").card() == tiny_weights[1]
