"""External models in the engine and on the command line: read beside the shipped ones."""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from fer_space import cli
from fer_space.card import Card
from fer_space.commands import fetch as fetch_command
from fer_space.distributions import circumplex, row_of
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.errors import MissingDependencyError, UnknownNameError, WeightsError
from fer_space.external import fetch as fetching
from fer_space.external.specs import MANIFEST, ExternalSpec
from fer_space.external.user import FOLDER_VARIABLE
from fer_space.files import sha256_of
from fer_space.model import load_model
from fer_space.registry import Registry
from fer_space.types import Face
from fer_space.vision.preprocess import Preprocess
from tests.external.networks import RAW_AFFECT, SIDE, write_onnx, write_vit
from tests.external.server import REPO, Server

FACES = [Face((10, 10, 50, 60), 0.9), Face((60, 20, 90, 55), 0.8)]
NAME = "enet_b0_8_va_mtl"
FACE = str(Path(__file__).parents[2] / "examples" / "astronaut.jpg")


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (80, 100, 3), dtype=np.uint8)


@pytest.fixture
def fetched(server: Server, tiny_spec: ExternalSpec) -> str:
    return fetching.fetch(tiny_spec.name, allowed=[server.url + "/"]).spec.name


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "own"
    folder.mkdir()
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    return folder


def test_true_valence_and_arousal_and_no_maps(
    fetched: str, tiny_weights: tuple[Path, Card], photo: np.ndarray
):
    engine = Engine(tiny_weights[0], device="cpu")
    assert engine.backbones == ("tiny", fetched)
    comparisons = engine.compare(photo, faces=FACES)
    for comparison in comparisons:
        shipped, outside = comparison.readings
        assert tuple(outside.prediction.probabilities) == EMOTIONS
        assert outside.prediction.va_source == "head"
        assert outside.prediction.valence == pytest.approx(RAW_AFFECT[0])
        assert outside.prediction.arousal == -1.0
        assert outside.explanations == {}
        assert set(shipped.explanations) == set(EMOTIONS)
    again = engine.compare(photo, faces=FACES, backbones=[fetched], method="layercam")
    assert again[0].readings[0].explanations == {}


def test_colour_and_box_of_the_crop(fetched: str, tiny_weights: tuple[Path, Card]):
    """Red in the box alone, and a little around it: happiness is what two times that red makes it."""
    engine = Engine(tiny_weights[0], device="cpu")
    photo = np.full((80, 100, 3), (0, 0, 255), np.uint8)
    photo[18:62, 28:72] = (255, 0, 0)
    face = Face((30, 20, 70, 60), 0.9)
    (reading,) = engine.compare(photo, faces=[face], backbones=[fetched])[0].readings
    assert (reading.crop.image_rgb == (255, 0, 0)).all()
    red = (1.0 - 0.485) / 0.229
    logits = np.zeros(8)
    logits[4] = 2.0 * red
    expected = np.exp(logits[4]) / np.exp(logits).sum()
    assert reading.prediction.probabilities["happiness"] == pytest.approx(expected, abs=1e-5)


def test_crops_are_no_smaller_than_the_input(
    fetched: str, tiny_weights: tuple[Path, Card], photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    spec = MANIFEST[fetched].model_copy(update={"preprocess": Preprocess(SIDE, 260, gray=False)})
    monkeypatch.setitem(MANIFEST, fetched, spec)
    (reading,) = (
        Engine(tiny_weights[0], "cpu").compare(photo, faces=FACES[:1], backbones=[fetched])[0].readings
    )
    assert reading.crop.image_rgb.shape == (260, 260, 3)


def test_sensitivity(fetched: str, tiny_weights: tuple[Path, Card], photo: np.ndarray):
    engine = Engine(tiny_weights[0], device="cpu")
    (result,) = engine.sensitivity(photo, FACES[0], backbones=[fetched])
    assert result.backbone == fetched


def test_hub_model_lacks_emotions_and_derives_affect(
    server: Server, tmp_path: Path, tiny_weights: tuple[Path, Card], photo: np.ndarray
):
    server.repo = tmp_path / "repo"
    write_vit(server.repo)
    name = fetching.fetch(f"hub:{REPO}", endpoint=server.url).spec.name
    engine = Engine(tiny_weights[0], device="cpu")
    (reading,) = engine.compare(photo, faces=FACES, backbones=[name])[1].readings
    assert tuple(reading.prediction.probabilities) == ("neutral", "happiness", "anger")
    assert reading.prediction.va_source == "circumplex"
    (derived,) = circumplex(row_of(reading.prediction.probabilities)[None])
    assert (reading.prediction.valence, reading.prediction.arousal) == pytest.approx(derived)
    card = engine.card(name)
    assert Registry().source(name).title == "faces"
    assert card.parameters > 1000
    assert card.command == "fer-space fetch hub:somebody/faces"


def test_face_crops(fetched: str):
    crops = [np.full((48, 48, 3), (level, 0, 0), np.uint8) for level in (0, 255)]
    probabilities = load_model(fetched, device="cpu").predict(crops).probabilities
    assert probabilities.shape == (2, 8)
    happiness = EMOTIONS.index("happiness")
    assert probabilities[1, happiness] > 0.5 > probabilities[0, happiness]


def test_what_is_not_here_says_how_to_get_it(tiny_weights: tuple[Path, Card], photo: np.ndarray):
    engine = Engine(tiny_weights[0], device="cpu")
    assert engine.backbones == ("tiny",)
    with pytest.raises(MissingDependencyError, match=r"`fer-space fetch enet_b2_8` downloads it\. Licence: "):
        engine.compare(photo, faces=FACES, backbones=["enet_b2_8"])
    with pytest.raises(MissingDependencyError, match="`fer-space fetch hub:nobody/nothing` downloads it"):
        engine.compare(photo, faces=FACES, backbones=["hub:nobody/nothing"])
    for name in ("nobody", "folder:weights", str(tiny_weights[0])):  # a visitor's word is no path
        with pytest.raises(UnknownNameError, match="enet_b2_8"):
            engine.compare(photo, faces=FACES, backbones=[name])


def test_a_changed_file_is_not_read(fetched: str, tiny_weights: tuple[Path, Card], photo: np.ndarray):
    (path,) = fetching.fetch(fetched).paths.values()
    write_onnx(path, 8)
    with pytest.raises(WeightsError, match="has changed since it was fetched"):
        Engine(tiny_weights[0], "cpu").compare(photo, faces=FACES, backbones=[fetched])


def test_a_manifest_that_knows_another_file(fetched: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MANIFEST, fetched, MANIFEST[fetched].model_copy(update={"sha256": "0" * 64}))
    with pytest.raises(WeightsError, match="not the file that this version knows"):
        load_model(fetched, device="cpu")


def test_without_onnx_runtime(fetched: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match="pip install"):
        load_model(fetched, device="cpu")


def own_card(card: Card, **changes: object) -> str:
    return card.model_copy(update=changes).to_json()


def test_own_checkpoint(own: Path, tiny_weights: tuple[Path, Card], photo: np.ndarray):
    """A run of one's own: its card is for the backbone that it trained, its files have the user's name."""
    folder, card = tiny_weights
    (own / "mine.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    (own / "mine.json").write_text(card.to_json())
    engine = Engine(folder, device="cpu")
    assert engine.backbones == ("tiny", "mine")
    shipped, mine = engine.compare(photo, faces=FACES)[0].readings
    assert mine.prediction.probabilities == pytest.approx(shipped.prediction.probabilities)
    assert set(mine.explanations) == set(EMOTIONS)
    source = engine.registry.source("mine")
    assert (source.card().name, source.title) == ("mine", "mine")


def test_own_graph(own: Path, tiny_weights: tuple[Path, Card], photo: np.ndarray):
    write_onnx(own / "graph.onnx", 10)
    plain = Preprocess(SIDE, SIDE, gray=False)
    changes = {"architecture": "onnx", "affect": True, "preprocess": plain}
    sha256 = sha256_of(own / "graph.onnx")
    (own / "graph.json").write_text(own_card(tiny_weights[1], sha256=sha256, **changes))
    (reading,) = Engine(tiny_weights[0], "cpu").compare(photo, faces=FACES, backbones=["graph"])[0].readings
    assert reading.prediction.va_source == "head"
    (own / "graph.json").write_text(own_card(tiny_weights[1], sha256="0" * 64, **changes))
    with pytest.raises(WeightsError, match="not the file that its card describes"):
        load_model("graph", device="cpu")


def test_own_cards_name_no_code(own: Path, tiny_weights: tuple[Path, Card]):
    folder, card = tiny_weights
    (own / "mine.safetensors").write_bytes((folder / "tiny.safetensors").read_bytes())
    (own / "mine.json").write_text(own_card(card, architecture="os:system"))
    with pytest.raises(WeightsError, match=r"“os:system”\. Known: .*fer_space\.backbones"):
        load_model("mine", device="cpu")
    write_onnx(own / "graph.onnx")
    (own / "graph.json").write_text(card.to_json())
    with pytest.raises(WeightsError, match="whose architecture is “onnx”"):
        load_model("graph", device="cpu")


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        pytest.param(["tiny.json", "tiny.onnx"], "tiny, a name taken here", id="shipped"),
        pytest.param(["enet_b2_8.json", "enet_b2_8.onnx"], "enet_b2_8, a name taken here", id="manifest"),
        pytest.param(["a.json", "a.onnx", "a.safetensors"], "two files named a", id="two files"),
    ],
)
def test_own_names_that_are_refused(
    own: Path, tiny_weights: tuple[Path, Card], files: list[str], sentence: str
):
    for name in files:
        (own / name).touch()
    engine = Engine(tiny_weights[0], "cpu")
    assert "tiny" in engine.backbones
    assert sentence in " ".join(engine.problems.values())


def test_own_folder_that_is_none(
    tiny_weights: tuple[Path, Card], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "nothing"))
    engine = Engine(tiny_weights[0], "cpu")
    assert engine.backbones == ("tiny",)
    assert "which is no folder" in engine.problems[FOLDER_VARIABLE]


def test_command_line(
    server: Server,
    tiny_spec: ExternalSpec,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    words = ["predict", FACE, "--backbones", NAME, "--json"]
    assert cli.main(words) == 2
    assert "fer-space fetch enet_b0_8_va_mtl" in capsys.readouterr().err
    local = partial(fetching.fetch, allowed=(server.url + "/",))
    monkeypatch.setattr(fetch_command, "fetch", local)
    assert cli.main(["fetch", NAME]) == 0
    assert "non-commercial research" in capsys.readouterr().out
    assert cli.main(words) == 0
    face = json.loads(capsys.readouterr().out)["faces"][0]
    assert face["backbones"][NAME]["va_source"] == "head"
    assert cli.main(["fetch", "resnet_9000"]) == 2
    assert "hub:OWNER/REPO" in capsys.readouterr().err
