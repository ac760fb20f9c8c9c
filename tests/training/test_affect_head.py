from pathlib import Path

import numpy as np
import pytest
import torch

from fer_space import cli
from fer_space.backbones.base import Backbone
from fer_space.backbones.specs import BACKBONES
from fer_space.card import read_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.files import sha256_of
from fer_space.model import Model
from fer_space.registry import Registry
from fer_space.training.affect_head import fit_affect, with_affect
from fer_space.training.data import LabelledPictures
from fer_space.training.export import export
from fer_space.training.losses import concordance
from fer_space.vision.preprocess import Preprocess
from tests.networks import lively_tiny, striped_faces, toy_card
from tests.training.test_run import write_folder

PREPROCESS = Preprocess(12, 12, gray=True)
COLUMNS = list(range(len(EMOTIONS)))
FACES = striped_faces(60)


def reader(network: Backbone, preprocess: Preprocess = PREPROCESS) -> Model:
    return Model(toy_card(preprocess=preprocess, affect=True), network)


def test_the_emotions_stay_as_they_were(tiny: str):
    plain = lively_tiny()
    wider = reader(with_affect(tiny, plain, COLUMNS))
    before = reader(plain).predict_reduced(FACES.pictures)
    assert not wider.predict_reduced(FACES.pictures).affect.any()
    fit_affect(wider, FACES.pictures, FACES.affect)
    np.testing.assert_array_equal(before.probabilities, wider.predict_reduced(FACES.pictures).probabilities)
    assert before.affect is None


def test_what_can_be_seen_is_read(tiny: str):
    """Brightness of the upper half tells valence and arousal; held-out faces say how well."""
    wider = reader(with_affect(tiny, lively_tiny(), COLUMNS))
    reached = fit_affect(wider, FACES.pictures, FACES.affect)
    others = striped_faces(40, seed=9)
    said = wider.predict_reduced(others.pictures).affect
    ccc = concordance(torch.from_numpy(said), others.affect)
    assert (ccc > 0.9).all()
    assert reached.n == 60
    np.testing.assert_allclose([reached.ccc_valence, reached.ccc_arousal], ccc, atol=0.1)


def test_noise_is_not_read_and_the_figure_says_so(tiny: str):
    noise = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    reached = fit_affect(reader(with_affect(tiny, lively_tiny(), COLUMNS)), FACES.pictures, noise)
    assert max(reached.ccc_valence, reached.ccc_arousal) < 0.4


@pytest.mark.parametrize("name", ["dan", "ran", "vit"])
def test_every_head_has_a_place_for_it(name: str):
    torch.manual_seed(0)
    network = BACKBONES[name].build(len(EMOTIONS), False).eval()
    wider = with_affect(name, network, COLUMNS)
    pictures = torch.randint(0, 256, (10, 1, 48, 48), dtype=torch.uint8)
    affect = torch.rand(10, 2) - 0.5
    fit_affect(reader(wider, Preprocess(32, 48, gray=True)), pictures, affect)
    assert wider.head.affect.weight.abs().max() > 0.0


def test_export_adds_the_readout(
    tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    write_folder(tmp_path / "faces")
    data = f"folder:{tmp_path / 'faces'}"
    words = f"--backbone {tiny} --init none --epochs 1 --batch-size 8 --size 12 --native-size 12 --device cpu"
    assert cli.main(["train", "--data", data, *words.split(), "--out", str(tmp_path / "run")]) == 0
    with pytest.raises(InputError, match="too few faces with valence"):
        export(tmp_path / "run", tmp_path / "weights", affect=data)
    assert not (tmp_path / "weights").exists()
    monkeypatch.setattr(LabelledPictures, "read", lambda faces, preprocess: FACES)
    assert cli.main(["export", str(tmp_path / "run"), str(tmp_path / "weights"), "--affect", data]) == 0
    assert "on held-out faces CCC" in capsys.readouterr().out
    card = read_card(tmp_path / "weights" / "tiny.json")
    assert card.affect
    assert card.data == "folder+folder"
    assert card.command.endswith("--affect folder:DIR")
    model = Model(card, Registry(tmp_path / "weights").source("tiny").build())
    assert np.abs(model.predict_reduced(FACES.pictures).affect).max() > 0.1
    own = card.model_copy(update={"sha256": sha256_of(tmp_path / "run" / "best.safetensors")})
    (tmp_path / "run" / "card.json").write_text(own.to_json())
    with pytest.raises(InputError, match="itself"):
        export(tmp_path / "run", tmp_path / "other", affect=data)
