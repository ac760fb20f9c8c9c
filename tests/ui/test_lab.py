"""The Laboratory tab with the toy engine, and mixing through its one seam."""

import numpy as np
import pytest

from fer_space.training.mixing import MIXES
from fer_space.ui.lab import KINDS, SIZE, WORDS, mix_faces
from tests.ui.desk import Desk, click


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk()


def test_every_way_of_mixing_is_offered_and_explained() -> None:
    assert list(KINDS.values()) == list(WORDS) == list(MIXES)


@pytest.mark.parametrize("kind", MIXES)
def test_a_mixture_lies_between_its_faces(desk: Desk, kind: str) -> None:
    own = desk.session.answer.read[0]
    other = desk.lab._partner(1, desk.session.answer.options)
    same = mix_faces(kind, own, own, seed=3)
    assert np.abs(same.image_rgb.astype(int) - own.readings[0].crop.image_rgb).mean() < 40
    mixture = mix_faces(kind, own, other, seed=3)
    assert mixture.image_rgb.shape == (SIZE, SIZE, 3)
    assert 0.0 < mixture.target.sum() <= 2.0
    again = mix_faces(kind, own, other, seed=3)
    assert (again.image_rgb == mixture.image_rgb).all()


def test_mixing_shows_faces_label_and_answers_model_by_model(desk: Desk) -> None:
    rows = []
    for _ in desk.steps(desk.lab.mix, 1, "cutmix"):
        rows.append(desk.values[desk.bench.shown].count("<tr data-model"))
    assert rows == [1, 2]
    first = desk.values[desk.bench.shown]
    assert "The label that training would use" in first
    desk.run(desk.lab.mix_again, 1, "cutmix")
    assert desk.values[desk.bench.shown] != first


@pytest.mark.parametrize(("boost", "emotion"), [(True, "fear"), (False, "surprise")])
def test_all_answers_are_of_the_chosen_operating_point(boost: bool, emotion: str) -> None:
    desk = Desk()
    desk.set(desk.sidebar.options, boost_rare=boost)
    desk.read()
    desk.run(desk.lab.mix, 1, "cutmix")
    mixture = desk.values[desk.bench.shown].split("What the models say of the mixture")[1]
    assert mixture.count(f'--emotion:var(--fer-{emotion})" class="fer-first">70') == 2
    assert desk.lab._partners.keys() == {(1, boost)}


def test_without_a_face_it_says_what_to_do() -> None:
    desk = Desk()
    desk.run(desk.do.clear, click(), *desk.view())
    desk.run(desk.lab.mix, 1, "cutmix")
    assert "Show a face first" in desk.values[desk.bench.shown]
