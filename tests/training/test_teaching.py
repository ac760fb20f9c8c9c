from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_space.card import Card
from fer_space.errors import InputError, WeightsError
from fer_space.training import teaching
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Recipe
from fer_space.training.teaching import Teacher, Teaching, load_teachers
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny, striped_faces
from tests.training.test_recipe import PREPROCESS, batch, config

FACES = striped_faces(8)
PICTURES = FACES.pictures.float()


@pytest.fixture
def teachers(tiny_weights: tuple[Path, Card]) -> list[Teacher]:
    _, card = tiny_weights
    return [
        Teacher.of(lively_tiny(seed), replace(card, preprocess=PREPROCESS), torch.device("cpu"))
        for seed in (1, 2)
    ]


def test_a_teacher_says_its_calibrated_probabilities(teachers: list[Teacher]):
    network, card, _ = teachers[0]
    with torch.no_grad():
        logits = network(card.preprocess.normalise(PICTURES)).logits
    expected = ((logits + torch.tensor(card.bias)) / card.temperature).softmax(dim=1)
    torch.testing.assert_close(teachers[0].read(PICTURES), expected)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_targets_are_shared_between_labels_and_the_mean_of_the_teachers(
    teachers: list[Teacher], share: float
):
    targets = Teaching(teachers, share).apply(PICTURES, FACES.targets)
    mean = (teachers[0].read(PICTURES) + teachers[1].read(PICTURES)) / 2
    torch.testing.assert_close(targets, (1 - share) * FACES.targets + share * mean)
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(8))
    assert not targets.requires_grad


def test_a_gray_teacher_reads_coloured_pictures(teachers: list[Teacher]):
    coloured = PICTURES.repeat(1, 3, 1, 1)
    torch.testing.assert_close(teachers[0].read(coloured), teachers[0].read(PICTURES))


@given(seed=st.integers(0, 50), gray=st.booleans())
def test_seeing_a_gray_picture_does_not_depend_on_its_channels(seed: int, gray: bool):
    preprocess = Preprocess(8, 12, gray=gray)
    picture = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(seed)) * 255
    torch.testing.assert_close(preprocess.see(picture.repeat(1, 3, 1, 1)), preprocess.see(picture))


def test_teachers_read_the_whole_face_that_was_moved_and_their_answers_are_mixed(teachers: list[Teacher]):
    """Covering comes after them, mixing joins what they said."""
    changes = {"mask": 1.0, "upper": 0.5, "rotate": 20.0, "mix": "mixup", "mix_share": 1.0}
    recipe = Recipe.of(config(**changes), None, Teaching(teachers, 1.0))
    draw = recipe.draw(FACES, torch.arange(8), 12, torch.Generator().manual_seed(4))
    made = recipe.batch(FACES, draw, PREPROCESS, lively_tiny(), Worker())
    moved = recipe.augment.apply(FACES.pictures, draw.look, 12)
    said = Teaching(teachers, 1.0).apply(moved, FACES.targets)
    assert draw.mix is not None
    assert recipe.mix is not None
    _, expected = recipe.mix.apply(
        moved, said, moved[draw.mix.partner], said[draw.mix.partner], draw.mix, None, None
    )
    torch.testing.assert_close(made.targets, expected)
    assert not torch.allclose(made.targets, batch(**changes).targets)


def test_teachers_come_from_the_folder_of_weights_by_name(monkeypatch, tiny_weights: tuple[Path, Card]):
    _, card = tiny_weights
    monkeypatch.setattr(teaching, "read_card", lambda name: replace(card, name=name))
    monkeypatch.setattr(teaching, "load_backbone", lambda card: lively_tiny())
    loaded = load_teachers("first, second", torch.device("cpu"))
    assert [teacher.card.name for teacher in loaded] == ["first", "second"]
    five = replace(card, labels=card.labels[:5], bias=card.bias[:5])
    monkeypatch.setattr(teaching, "read_card", lambda name: five)
    with pytest.raises(InputError, match="does not know all 8 emotions"):
        load_teachers("five", torch.device("cpu"))
    monkeypatch.undo()
    with pytest.raises((InputError, WeightsError), match="nobody"):
        load_teachers("nobody", torch.device("cpu"))


def test_targets_that_accept_several_emotions_take_no_teachers():
    with pytest.raises(InputError, match="--teachers"):
        config(target="multi", teachers="efficientnet_lite0")
    with pytest.raises(InputError, match="teacher-share"):
        config(teacher_share=1.5)
