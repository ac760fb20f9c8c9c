from dataclasses import replace

import pytest
import torch

from fer_space.emotions import EMOTIONS
from fer_space.model import Model
from fer_space.training.config import TrainConfig
from fer_space.training.parallel import Worker
from fer_space.training.recipe import Batch, Recipe
from fer_space.training.sheet import STEPS, STILL, sheet_rows
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny, striped_faces, toy_card

PREPROCESS = Preprocess(12, 12, gray=True)
FACES = striped_faces(8)


def config(**changes: object) -> TrainConfig:
    return TrainConfig(backbone="tiny", data="none:none", **{**STILL, **changes})  # type: ignore[arg-type]


def batch(worker: Worker | None = None, **changes: object) -> Batch:
    network = lively_tiny()
    recipe = Recipe.of(config(**changes), Model(toy_card(preprocess=PREPROCESS), lively_tiny()))
    params = recipe.sample(FACES, torch.arange(8), 12, torch.Generator().manual_seed(4))
    return recipe.batch(FACES, params, PREPROCESS, network, worker or Worker())


def test_without_any_step_faces_arrive_as_they_are():
    made = batch()
    assert torch.equal(PREPROCESS.pictures(made.inputs)[:, :1], FACES.pictures)
    assert torch.equal(made.targets, FACES.targets)
    assert torch.equal(made.affect, FACES.affect)


@pytest.mark.parametrize("mix", ["none", "mixup", "cutmix", "snapmix", "attentive-cutmix"])
def test_workers_make_their_share_of_the_same_batch(mix: str):
    changes = {"mix": mix, "mask": 0.5, "upper": 0.3, "rotate": 10.0}
    whole = batch(**changes)
    for rank in (0, 1):
        part = batch(Worker(rank, 2), **changes)
        torch.testing.assert_close(part.inputs, whole.inputs[rank::2])
        torch.testing.assert_close(part.targets, whole.targets[rank::2])
        torch.testing.assert_close(part.affect, whole.affect[rank::2], equal_nan=True)


def test_a_mixed_face_has_no_valence_and_arousal():
    made = batch(mix="mixup", mix_share=0.5)
    mixed = (made.targets != FACES.targets).any(dim=1)
    assert mixed.any()
    assert made.affect[mixed].isnan().all()
    still = (PREPROCESS.pictures(made.inputs)[:, :1] == FACES.pictures).flatten(1).all(dim=1)
    assert torch.equal(made.affect[still], FACES.affect[still])


def test_smoothing_reaches_the_emotions_that_were_shown():
    targets = batch(label_smoothing=0.4).targets
    torch.testing.assert_close(targets.amax(dim=1), torch.full((8,), 0.8))  # two emotions share .4
    assert not targets[:, 2:].any()


def test_a_face_is_cut_before_it_is_moved():
    """So that what a mask would cover never comes back into view."""
    network = lively_tiny()
    lower = replace(FACES, pictures=FACES.pictures.clone())
    lower.pictures[:, :, 7:] = 255 - lower.pictures[:, :, 7:]  # UPPER_SHARE of 12 rows is 6
    for shift in (0.0, 0.3):
        recipe = Recipe.of(config(upper=1.0, shift=shift, zoom=shift, mask=1.0), None)
        params = recipe.sample(FACES, torch.arange(8), 12, torch.Generator().manual_seed(4))
        first, second = (
            recipe.batch(faces, params, PREPROCESS, network, Worker()).inputs for faces in (FACES, lower)
        )
        assert torch.equal(first, second)


def test_every_row_of_the_sheet_has_every_step_and_its_target():
    rows = sheet_rows(FACES, Model(toy_card(preprocess=PREPROCESS), lively_tiny()))
    assert [title for title, _, _ in rows] == [EMOTIONS[label] for label in FACES.labels]
    for title, pictures, captions in rows:
        assert {picture.shape for picture in pictures} == {(12, 12, 3)}
        assert [caption.splitlines()[0] for caption in captions] == list(STEPS)
        assert captions[0].splitlines()[1] == f"{title} 1.00"
