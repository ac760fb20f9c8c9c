from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_space.card import Card
from fer_space.errors import InputError, WeightsError
from fer_space.model import Model, load_model
from fer_space.training import distillation
from fer_space.training.distillation import Teaching, load_any, load_teachers
from fer_space.training.finish import write_run_card
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Recipe
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny, striped_faces, toy_card, write_weights
from tests.training.test_recipe import PREPROCESS, batch, config
from tests.training.test_trainer import CONFIG, run

CPU = torch.device("cpu")
FACES = striped_faces(8)
PICTURES = FACES.pictures.float()


@pytest.fixture
def teachers() -> list[Model]:
    return [Model(toy_card(preprocess=PREPROCESS), lively_tiny(seed)) for seed in (1, 2)]


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_targets_are_shared_between_labels_and_the_mean_of_the_teachers(teachers: list[Model], share: float):
    targets = Teaching(teachers, share).apply(PICTURES, FACES.targets)
    mean = (teachers[0].distribution(PICTURES) + teachers[1].distribution(PICTURES)) / 2
    torch.testing.assert_close(targets, (1 - share) * FACES.targets + share * mean)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
    assert not targets.requires_grad


def test_a_gray_teacher_reads_coloured_pictures(teachers: list[Model]):
    coloured = PICTURES.repeat(1, 3, 1, 1)
    torch.testing.assert_close(teachers[0].distribution(coloured), teachers[0].distribution(PICTURES))


@given(seed=st.integers(0, 50), gray=st.booleans())
def test_seeing_a_gray_picture_does_not_depend_on_its_channels(seed: int, gray: bool):
    preprocess = Preprocess(8, 12, gray=gray)
    picture = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(seed)) * 255
    torch.testing.assert_close(preprocess.see(picture.repeat(1, 3, 1, 1)), preprocess.see(picture))


def test_teachers_read_the_whole_face_that_was_moved_and_their_answers_are_mixed(teachers: list[Model]):
    """Covering comes after them, mixing joins what they said."""
    changes = {"mask": 1.0, "upper": 0.5, "rotate": 20.0, "mix": "mixup", "mix_share": 1.0}
    recipe = Recipe.of(config(**changes), None, Teaching(teachers, 1.0))
    params = recipe.sample(FACES, torch.arange(8), 12, torch.Generator().manual_seed(4))
    made = recipe.batch(FACES, params, PREPROCESS, lively_tiny(), Worker())
    moved = recipe.augment.apply(FACES.pictures, params.look, 12)
    said = Teaching(teachers, 1.0).apply(moved, FACES.targets)
    assert params.mix is not None
    assert recipe.mix is not None
    _, expected = recipe.mix.apply(
        moved, said, moved[params.mix.partner], said[params.mix.partner], params.mix, None, None
    )
    torch.testing.assert_close(made.targets, expected)
    assert not torch.allclose(made.targets, batch(**changes).targets)


def test_teachers_come_by_name_by_file_and_by_run(
    monkeypatch: pytest.MonkeyPatch, tiny_weights: tuple[Path, Card], tmp_path: Path
):
    folder, card = tiny_weights
    named = Model(card, lively_tiny())
    write_weights(folder, lively_tiny(), name="mine")  # as `export --name` calls it

    def load(name: str, **options: Any) -> Model:
        return named if name == "somebody" else load_model(name, **options)

    monkeypatch.setattr(distillation, "load_model", load)
    files = [folder / "tiny.safetensors", folder / "mine.safetensors"]
    first, *others = load_teachers(f"somebody, {files[0]}, {files[1]}", CPU)
    assert first is named
    for other in others:
        np.testing.assert_array_equal(first.logits(FACES.pictures), other.logits(FACES.pictures))
    run(tmp_path / "run", CONFIG.changed(epochs=1))
    (tmp_path / "run" / "card.json").write_text(
        write_run_card(CONFIG, FACES, FACES, tmp_path / "run").to_json()
    )
    with pytest.raises(InputError, match="does not know all 8 emotions"):
        load_teachers(str(tmp_path / "run"), CPU)


@pytest.mark.parametrize("name", ["nobody", "nothing.safetensors", "."])
def test_a_teacher_that_is_not_there_is_named(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((InputError, WeightsError), match=r"nobody|nothing.json|no model"):
        load_any(name, CPU)


def test_targets_that_accept_several_emotions_take_no_teachers():
    with pytest.raises(InputError, match="--teachers"):
        config(target="multi", teachers="efficientnet_lite0")
    with pytest.raises(InputError, match="teacher-share"):
        config(teacher_share=1.5)


def test_a_teacher_sees_no_more_detail_than_its_card_says(teachers: list[Model]):
    """Pictures that keep 96 pixels are reduced for a teacher that has learned from fewer."""
    sharp = torch.rand(2, 1, 96, 96) * 255
    size = teachers[0].card.preprocess.native_size
    blunt = torch.nn.functional.interpolate(sharp, (size, size), mode="area")
    targets = torch.full((2, 8), 1 / 8)
    mine = Teaching(teachers, 1.0, native_size=96).apply(sharp, targets)
    torch.testing.assert_close(mine, Teaching(teachers, 1.0).apply(blunt, targets))
    assert not torch.allclose(mine, Teaching(teachers, 1.0, native_size=size).apply(sharp, targets))
