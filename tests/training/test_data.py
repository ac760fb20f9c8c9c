from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fer_space.data.faceset import Member
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import DataError, InputError
from fer_space.training.config import TrainConfig
from fer_space.training.data import COLUMNS, LabelledPictures, epoch_length, epoch_order, read_faces
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import load_image
from fer_space.vision.preprocess import Preprocess
from tests.data.making import scene
from tests.networks import striped_faces

LABELS = torch.tensor([0] * 90 + [2] * 9 + [5])


@pytest.mark.parametrize("positions", [True, False], ids=["positions", "kept or not"])
def test_parts_of_joined_sets_know_where_they_are_from_and_can_be_put_together(positions: bool):
    members = (Member("one", EMOTIONS), Member("two", EMOTIONS))
    faces = replace(striped_faces(10), members=members, origins=torch.arange(10) // 5)
    kept = np.arange(10) % 2 == 0
    part = faces.select(np.flatnonzero(kept) if positions else kept)
    assert part.members == members
    assert part.origins.tolist() == [0, 0, 0, 1, 1]
    whole = LabelledPictures.joined([part, faces.select(~kept)])
    assert len(whole.members) == 1
    assert len(whole.origins) == 0
    order = [*range(0, 10, 2), *range(1, 10, 2)]
    for name in COLUMNS:
        assert torch.equal(getattr(whole, name), getattr(faces, name)[order])


def shown(imbalance: str, labels: torch.Tensor = LABELS) -> torch.Tensor:
    order = epoch_order(labels, imbalance, torch.Generator().manual_seed(0))  # type: ignore[arg-type]
    assert len(order) == epoch_length(labels, imbalance)  # type: ignore[arg-type]
    return order


def test_plain_order_shows_every_picture_once():
    assert sorted(shown("none").tolist()) == list(range(100))


def test_oversampling_shows_every_picture_and_every_emotion_alike():
    order = shown("oversample")
    assert set(order.tolist()) == set(range(100))
    assert torch.bincount(LABELS[order]).tolist() == [90, 0, 90, 0, 0, 90]


def test_undersampling_shows_as_many_as_the_rarest_has():
    assert torch.bincount(LABELS[shown("undersample")]).tolist() == [1, 0, 1, 0, 0, 1]


@pytest.mark.parametrize(("imbalance", "ratio"), [("balanced", 1.0), ("sqrt", 3.0)])
def test_drawing_follows_the_power_of_the_count(imbalance: str, ratio: float):
    labels = torch.tensor([0] * 9000 + [1] * 1000)
    counts = torch.bincount(labels[shown(imbalance, labels)]).float()
    assert float(counts[0] / counts[1]) == pytest.approx(ratio, rel=0.1)


@given(
    st.lists(st.integers(0, 7), min_size=1, max_size=60),
    st.sampled_from(["none", "oversample", "undersample", "balanced", "sqrt"]),
)
def test_orders_hold_positions_of_the_set(labels: list[int], imbalance: str):
    order = shown(imbalance, torch.tensor(labels))
    assert order.min() >= 0
    assert order.max() < len(labels)


@given(
    st.lists(st.tuples(st.integers(0, 7), st.sampled_from([0.0, 0.5, 1.0, 2.5])), min_size=1, max_size=60),
    st.sampled_from(["none", "balanced", "sqrt"]),
    st.integers(0, 5),
)
def test_pictures_are_shown_as_often_as_their_set_says(
    rows: list[tuple[int, float]], imbalance: str, seed: int
):
    labels, times = torch.tensor([label for label, _ in rows]), torch.tensor([t for _, t in rows])
    rng = torch.Generator().manual_seed(seed)
    if epoch_length(labels, imbalance, times) == 0:
        return
    order = epoch_order(labels, imbalance, rng, times)
    assert len(order) == epoch_length(labels, imbalance, times)
    assert (times[order] > 0).all()
    if imbalance == "none":
        shown_times = torch.bincount(order, minlength=len(labels))
        assert (shown_times >= times.floor()).all()
        assert (shown_times <= times.ceil()).all()


def test_a_fraction_shows_other_faces_in_each_epoch():
    labels, times = torch.zeros(40, dtype=torch.int64), torch.full((40,), 1.5)
    rng = torch.Generator().manual_seed(0)
    first, second = (torch.bincount(epoch_order(labels, "none", rng, times)) for _ in range(2))
    assert first.sum() == second.sum() == 60
    assert not torch.equal(first, second)


def test_rare_emotions_count_after_the_sets_were_repeated():
    labels, times = torch.tensor([0] * 90 + [1] * 5), torch.tensor([1.0] * 90 + [2.0] * 5)
    order = epoch_order(labels, "oversample", torch.Generator().manual_seed(0), times)
    assert torch.bincount(labels[order]).tolist() == [90, 90]


@pytest.mark.parametrize(("imbalance", "each"), [("oversample", 20), ("undersample", 1)])
def test_rebalancing_has_a_limit(imbalance: str, each: int):
    order = epoch_order(LABELS, imbalance, torch.Generator().manual_seed(0), limit=20)
    assert torch.bincount(LABELS[order]).tolist() == [each, 0, each, 0, 0, each]
    assert len(order) == epoch_length(LABELS, imbalance, limit=20)


def frames(folder: Path) -> str:
    """Whole frames of two emotions, and one of training and validation in which nobody is seen."""
    for split in ("train", "valid"):
        scene(folder / split / "happy" / "a.png", "astronaut.jpg", (720, 576), (400, 150), 220)
        scene(folder / split / "neutral" / "b.png", "hopper.jpg", (720, 576), (60, 90), 240)
        scene(folder / split / "sad" / "c.png", "hopper.jpg", (720, 576), (719, 575), 240)
    return f"folder:{folder}"


def test_faces_of_whole_frames_are_trained_on_as_the_card_will_cut_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = frames(tmp_path)
    config = TrainConfig(backbone="tiny", data=data, detect="libfacedetection", target="majority")
    preprocess = Preprocess(16, 12, gray=True)
    trained, held_out = read_faces(config, preprocess)
    assert trained.labels.tolist() == [1, 0]
    assert held_out.labels.tolist() == [1, 0, 3]
    engine = Engine(device="cpu")
    for i, name in enumerate(("happy/a.png", "neutral/b.png")):
        photo = load_image(tmp_path / "train" / name)
        crop = crop_face(photo, engine.detect(photo)[0], CropRule()).image_rgb
        assert torch.equal(trained.pictures[i : i + 1], preprocess.reduce([crop]))
    assert torch.equal(held_out.pictures[2:], preprocess.reduce([load_image(tmp_path / "valid/sad/c.png")]))
    assert "1: no face was found in the picture" in capsys.readouterr().err


def test_a_detector_that_does_not_exist_is_named():
    with pytest.raises(InputError, match=r"“eyes”.*libfacedetection"):
        TrainConfig(backbone="tiny", data="folder:x", detect="eyes")


@pytest.mark.parametrize("imbalance", ["balanced", "undersample", "none"])
def test_sampling_that_leaves_nothing_is_said(imbalance: str):
    with pytest.raises(DataError, match="leaves no face"):
        epoch_order(torch.tensor([0, 1, 1]), imbalance, torch.Generator(), times=torch.zeros(3))
