from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Event, Timer, current_thread
from types import SimpleNamespace
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest
import torch

from fer_space.card import Card, Fit, write_card, write_fit
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import ImageError, UnknownNameError, WeightsError
from fer_space.model import Model
from fer_space.occlusion.cover import Cover
from fer_space.registry import ShippedModel
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face

FACES = [Face((10, 10, 50, 60), 0.9), Face((60, 20, 90, 55), 0.8)]


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


@pytest.fixture
def engine(tiny_weights: tuple[Path, Card]) -> Engine:
    return Engine(tiny_weights[0], device="cpu")


def test_reads_every_face_with_every_backbone(engine: Engine, photo: np.ndarray):
    comparisons = engine.compare(photo, faces=FACES)
    assert [c.face for c in comparisons] == FACES
    (reading,) = comparisons[0].readings
    assert tuple(reading.prediction.probabilities) == EMOTIONS
    assert reading.prediction.va_source == "circumplex"
    assert set(reading.explanations) == set(EMOTIONS)
    assert reading.crop.image_rgb.shape == (224, 224, 3)


def test_a_face_reads_the_same_alone_and_among_others(engine: Engine, photo: np.ndarray):
    together = engine.compare(photo, faces=FACES)[1].predictions[0].probabilities
    alone = engine.compare(photo, faces=FACES[1:])[0].predictions[0].probabilities
    assert together == pytest.approx(alone, abs=1e-6)


def test_rare_emotions_are_boosted_on_request_and_valence_stays(engine: Engine, photo: np.ndarray):
    plain = engine.compare(photo, faces=FACES)[0].predictions[0]
    same = engine.compare(photo, faces=FACES, boost_rare=True)[0].predictions[0]
    assert same == replace(plain, ms=ANY), "a card without a second point has one answer"
    card = engine.card("tiny").model_copy(update={"boost": (0.0,) * 6 + (1.0, 0.0)})
    write_card(card, engine.registry.weights_dir)
    boosted = engine.compare(photo, faces=FACES, boost_rare=True)[0].predictions[0]
    factor = (boosted.probabilities["fear"] / boosted.probabilities["neutral"]) / (
        plain.probabilities["fear"] / plain.probabilities["neutral"]
    )
    assert factor == pytest.approx(np.e, rel=1e-5)
    assert (boosted.valence, boosted.arousal) == (plain.valence, plain.arousal)


def test_a_card_that_changes_while_the_engine_runs_is_followed(engine: Engine, photo: np.ndarray):
    engine.compare(photo, faces=FACES)
    flat = engine.card("tiny").model_copy(update={"temperature": 1000.0})
    write_card(flat, engine.registry.weights_dir)
    prediction = engine.compare(photo, faces=FACES)[0].predictions[0]
    assert prediction.confidence == pytest.approx(1 / 8, abs=0.02)


@pytest.mark.parametrize("members", [("tiny",), ("tiny", "dan")], ids=["all chosen", "one missing"])
def test_the_fitted_mean_needs_all_its_members(engine: Engine, photo: np.ndarray, members: tuple[str, ...]):
    shares = {name: 1 / len(members) for name in members}
    fit = Fit(name="ferplus", shares=shares, data="x", command="y", date="2026-11-27")
    write_fit(fit, engine.registry.weights_dir)
    rule = engine.compare(photo, faces=FACES)[0].rule
    assert rule == ("fitted mean" if members == ("tiny",) else "mean")


def test_an_ensemble_is_chosen_by_its_name(engine: Engine, photo: np.ndarray):
    assert engine.shares(["tiny"]) == (), "without a fit all count alike"
    for name, member in (("ferplus", "dan"), ("posed", "tiny")):
        fit = Fit(name=name, shares={member: 1.0}, data="x", command="y", date="2026-11-27")
        write_fit(fit, engine.registry.weights_dir)
    assert engine.shares(["tiny"]) == (), "the first one is missing a member"
    assert engine.shares(["vit", "tiny"], "posed") == (0.0, 1.0)
    rules = [engine.compare(photo, faces=FACES, ensemble=name)[0].rule for name in ("", "posed")]
    assert rules == ["mean", "fitted mean"]
    with pytest.raises(UnknownNameError, match="no ensemble “wise”"):
        engine.compare(photo, faces=FACES, ensemble="wise")


def test_maps_are_made_only_on_request(engine: Engine, photo: np.ndarray):
    (reading,) = engine.compare(photo, faces=FACES, method=None)[0].readings
    assert reading.explanations == {}


def test_progress_is_told_and_may_cancel(engine: Engine, photo: np.ndarray):
    told: list[tuple[int, int, str]] = []
    engine.compare(photo, faces=FACES, progress=lambda *step: told.append(step))
    assert told == [(0, 1, "tiny"), (1, 1, "")]

    def cancel(*step: object) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        engine.compare(photo, faces=FACES, progress=cancel)


def test_models_answer_one_by_one(engine: Engine, photo: np.ndarray):
    columns = dict(engine.stream(photo, FACES))
    streamed = engine.together(FACES, list(columns.values()))
    whole = engine.compare(photo, faces=FACES)
    assert [c.together for c in streamed] == [c.together for c in whole]


@pytest.mark.parametrize("known", [True, False])
def test_covered_faces_are_paired_with_the_free_ones(engine: Engine, photo: np.ndarray, known: bool):
    before = engine.compare(photo, faces=FACES) if known else None
    covered = engine.compare_covered(photo, Cover("eye_bar"), before=before)
    if known:
        assert [pair.before for pair in covered] == before
        for face, pair in zip(FACES, covered, strict=True):
            crop = crop_face(photo, face, CropRule())
            drawn = Cover("eye_bar").on_crop(crop, face).image_rgb
            assert np.array_equal(pair.after.readings[0].crop.image_rgb, drawn)
    else:
        assert covered == []  # there is no face in noise


def test_sensitivity_has_a_worth_for_each_region(engine: Engine, photo: np.ndarray):
    (result,) = engine.sensitivity(photo, FACES[0])
    assert result.worth.shape == (9, 9)


@pytest.mark.parametrize(
    "same",
    [
        pytest.param(lambda photo: photo.astype(np.float32) / 255.0, id="floats from 0 to 1"),
        pytest.param(lambda photo: np.dstack([photo, np.full(photo.shape[:2], 255, np.uint8)]), id="RGBA"),
    ],
)
def test_what_can_only_mean_one_picture_is_taken(engine: Engine, photo: np.ndarray, same: Any):
    expected = engine.compare(photo, faces=FACES)[0].together
    assert engine.compare(same(photo), faces=FACES)[0].together == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda photo: photo.astype(np.uint16), id="uint16"),
        pytest.param(lambda photo: np.moveaxis(photo, -1, 0), id="channels first"),
        pytest.param(lambda photo: photo[:0], id="empty"),
        pytest.param(lambda photo: None, id="nothing"),
    ],
)
def test_other_arrays_are_refused_in_a_sentence(engine: Engine, photo: np.ndarray, other: Any):
    for call in (engine.detect, lambda image: engine.compare(image, faces=FACES)):
        with pytest.raises(ImageError):
            call(other(photo))


def test_no_face_is_an_answer(engine: Engine):
    assert engine.compare(np.full((64, 64, 3), 127, np.uint8)) == []


def test_unknown_names_and_empty_choices_are_sentences(engine: Engine, photo: np.ndarray, tmp_path: Path):
    with pytest.raises(UnknownNameError, match="tiny"):
        engine.compare(photo, backbones=["enormous"], faces=FACES)
    with pytest.raises(UnknownNameError, match="libfacedetection"):
        engine.compare(photo, detector="magnifying glass")
    with pytest.raises(WeightsError, match="no backbone was chosen"):
        engine.compare(photo, backbones=[], faces=FACES)
    with pytest.raises(WeightsError, match="no weights"):
        Engine(tmp_path / "nothing", "cpu").compare(photo, faces=FACES)


def test_threads_share_one_copy_of_each_model(
    engine: Engine, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    loads = []
    real = ShippedModel.build
    monkeypatch.setattr(ShippedModel, "build", lambda source: loads.append(1) or real(source))
    photos = [np.roll(photo, 3 * i, axis=1) for i in range(6)]
    folder = engine.registry.weights_dir
    expected = [Engine(folder, "cpu").compare(p, faces=FACES)[0].together for p in photos]
    loads.clear()
    with ThreadPoolExecutor(6) as pool:
        got = list(pool.map(lambda p: engine.compare(p, faces=FACES)[0].together, photos))
    assert len(loads) == 1
    for one, other in zip(got, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-6)


@pytest.mark.parametrize(("device", "elsewhere"), [("cpu", True), ("cuda", False)])
def test_preload_takes_threads_on_a_cpu_alone(
    engine: Engine, device: str, elsewhere: bool, monkeypatch: pytest.MonkeyPatch
):
    loaded_in = []
    monkeypatch.setattr(engine, "_model", lambda source: loaded_in.append(current_thread()))
    engine.device = torch.device(device)
    engine.preload()
    assert [thread is not current_thread() for thread in loaded_in] == [elsewhere]


def test_preload_loads_everything_once(engine: Engine):
    engine.preload()
    assert set(engine._models) == {"tiny"}
    assert set(engine._detectors) == {"libfacedetection"}


def test_preload_says_what_goes_wrong_with_maps(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    def fails(model: Model) -> None:
        raise RuntimeError("no memory for the maps of tiny")

    monkeypatch.setattr(Model, "prepare_maps", fails)
    engine.preload()
    with pytest.raises(RuntimeError, match="maps of tiny"):
        engine.preload(maps=True)


def test_an_engine_needs_no_fork(tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch):
    """Windows has none."""
    monkeypatch.delattr("os.register_at_fork", raising=False)
    assert Engine(tiny_weights[0], device="cpu").backbones == ("tiny",)


def test_models_that_nobody_waits_for_are_not_loaded(engine: Engine, monkeypatch: pytest.MonkeyPatch):
    begun, go_on = [], Event()

    def load(source: SimpleNamespace) -> None:
        begun.append(source.name)
        go_on.wait(60)

    monkeypatch.setattr(engine, "_model", load)
    sources = [SimpleNamespace(name=name) for name in "abc"]
    Timer(1.0, go_on.set).start()
    with pytest.raises(KeyboardInterrupt), engine._loading(sources):
        raise KeyboardInterrupt
    assert len(begun) < 2


def test_a_folder_of_weights_may_be_text(tiny_weights: tuple[Path, Card]):
    assert Engine(str(tiny_weights[0]), device="cpu").backbones == ("tiny",)
