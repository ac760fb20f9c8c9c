"""A published folder is read again by this package, by timm and by transformers, with the same answers."""

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from huggingface_hub import ModelCard
from PIL import Image

from fer_space.card import FERPLUS_TEST
from fer_space.emotions import columns_of
from fer_space.errors import InputError, MissingDependencyError, UnknownNameError, WeightsError
from fer_space.external.fetch import fetch
from fer_space.external.hub import HUB
from fer_space.external.published import CARD_FILE, WEIGHTS_FILE, pair_in
from fer_space.model import Model, load_model
from fer_space.publishing.model_folder import write_folder
from tests.external.conftest import cache, server  # noqa: F401  fixtures
from tests.external.server import REPO, Server

WEIGHTS = Path(__file__).parents[2] / "weights"
CROP = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
TIMMS = "efficientnet_lite0"
OURS = "human_emotion"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub")
    for name in (TIMMS, OURS):
        write_folder(name, WEIGHTS, folder)
    return folder


def answers(model: Model) -> np.ndarray:
    return model.predict([CROP], flip=False).probabilities


@pytest.mark.parametrize("name", [TIMMS, OURS])
def test_a_folder_is_the_model_by_every_name(published: Path, name: str, monkeypatch: pytest.MonkeyPatch):
    shipped = answers(load_model(name, device="cpu"))
    monkeypatch.chdir(published)
    for word in (f"folder:{name}", f"./{name}", str(published / name)):
        model = load_model(word, device="cpu")
        assert model.name == word
        np.testing.assert_array_equal(answers(model), shipped)


def test_timm_reads_calibrated_answers(published: Path):
    model = load_model(TIMMS, device="cpu")
    network = timm.create_model(f"local-dir:{published / TIMMS}", pretrained=True).eval()
    with torch.no_grad():
        inputs = model.card.preprocess.normalise(model.reduce([CROP]))
        probabilities = network(inputs).softmax(dim=1).numpy()
    columns = columns_of(network.pretrained_cfg["label_names"])
    np.testing.assert_allclose(probabilities, answers(model)[:, columns], atol=1e-5)


@pytest.mark.filterwarnings("ignore")  # transformers' own, about what it falls back to
def test_the_pipeline_of_transformers_reads_it(published: Path):
    from transformers import pipeline

    model = load_model(TIMMS, device="cpu")
    seen = model.card.preprocess.pictures(model.card.preprocess.normalise(model.reduce([CROP])))[0]
    found = pipeline("image-classification", model=str(published / TIMMS), device="cpu")(
        Image.fromarray(seen.permute(1, 2, 0).numpy())
    )
    assert found[0]["label"] == model.predict([CROP], flip=False).labels[0]
    assert found[0]["score"] == pytest.approx(np.nanmax(answers(model)), abs=0.02)  # uint8 in between


def test_the_page_says_what_the_card_says(published: Path):
    page = ModelCard.load(published / TIMMS / "README.md", ignore_metadata_errors=False)
    card = load_model(TIMMS, device="cpu").card
    measured = card.measured(FERPLUS_TEST)
    assert (page.data.pipeline_tag, page.data.library_name) == ("image-classification", "timm")
    assert page.data.eval_results[0].metric_value == pytest.approx(measured.scores.accuracy, abs=1e-4)
    for words in (card.licence, f"{card.temperature:.3f}", "Do not use it to judge", "| diffusionfer test |"):
        assert words in page.text
    assert page.text.count("\n| ") == len(card.measurements) + 1  # and the heading
    own = ModelCard.load(published / OURS / "README.md", ignore_metadata_errors=False)
    assert own.data.library_name == "fer-space"
    assert "timm" not in own.text


def test_a_damaged_folder_is_refused(published: Path, tmp_path: Path):
    folder = tmp_path / OURS
    write_folder(OURS, WEIGHTS, tmp_path)
    (folder / WEIGHTS_FILE).write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="sha256"):
        load_model(f"folder:{folder}")
    card = json.loads((folder / CARD_FILE).read_text())
    (folder / CARD_FILE).write_text(json.dumps(card | {"architecture": "os:system"}))
    with pytest.raises(WeightsError, match="os:system"):
        load_model(f"folder:{folder}")


def test_what_is_no_folder_of_a_model_is_a_sentence(tmp_path: Path):
    with pytest.raises(InputError, match="no folder"):
        load_model(f"folder:{tmp_path / 'absent'}")
    with pytest.raises(InputError, match="holds no model"):
        pair_in(tmp_path)
    for name in ("one", "two"):
        (tmp_path / f"{name}.json").write_text("{}")
        (tmp_path / f"{name}.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="holds 2 models"):
        pair_in(tmp_path)
    with pytest.raises(UnknownNameError):
        write_folder("nobody", WEIGHTS, tmp_path)


def test_a_repository_of_the_hub_is_the_model(published: Path, server: Server):  # noqa: F811
    name = HUB + REPO
    with pytest.raises(MissingDependencyError, match=f"fer-space fetch {name}"):
        load_model(name)
    server.repo = published / OURS
    receipt = fetch(name, endpoint=server.url)
    assert set(receipt.sha256) == {CARD_FILE, WEIGHTS_FILE}
    model = load_model(name, device="cpu")
    assert model.card.temperature == load_model(OURS, device="cpu").card.temperature
    np.testing.assert_array_equal(answers(model), answers(load_model(OURS, device="cpu")))
    receipt.paths[WEIGHTS_FILE].write_bytes(b"changed")
    with pytest.raises(WeightsError, match="has changed"):
        load_model(name)
