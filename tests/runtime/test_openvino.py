"""Networks in OpenVINO answer as in torch, and are converted once."""

import copy
import hashlib
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import constants
from torch import Tensor

from fer_space.backbones.base import Backbone, Head, PooledLinearHead
from fer_space.backbones.specs import BACKBONES
from fer_space.card import WEIGHTS_DIR, Card
from fer_space.engine import Engine
from fer_space.errors import WeightsError
from fer_space.external.heads import ExternalNetwork
from fer_space.model import Model, ModelOutput, load_model
from fer_space.registry import ShippedModel
from fer_space.runtime import openvino
from fer_space.runtime.device import RUNTIME_VARIABLE
from fer_space.vision.imaging import load_image
from tests.networks import lively_tiny, toy_card, write_weights

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
NAMES = [name for name in BACKBONES if not name.endswith("_masked")]
NOISE = list(np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), dtype=np.uint8))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own."""
    monkeypatch.delenv(RUNTIME_VARIABLE, raising=False)
    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path))
    return openvino.cache_folder()


@pytest.fixture(scope="module")
def graphs() -> dict[str, dict[str, Any]]:
    """Graphs of toy networks by what they were converted from."""
    return {}


@pytest.fixture
def toy_cache(cache: Path, graphs: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, where what is kept matters and not how it was made: equal networks share graphs."""

    def converted(network: Backbone, input_size: int) -> dict[str, Any]:
        key = hashlib.sha256(f"{input_size} {network}".encode())
        for tensor in network.state_dict().values():
            key.update(tensor.numpy().tobytes())
        if key.hexdigest() not in graphs:
            graphs[key.hexdigest()] = convert(network, input_size)
        return graphs[key.hexdigest()]

    convert = openvino.converted
    monkeypatch.setattr(openvino, "converted", converted)
    return cache


@pytest.fixture(scope="module")
def faces() -> list[np.ndarray]:
    """Crops of the example with a face, tight, wide and mirrored."""
    photo = load_image(EXAMPLES / "astronaut.jpg")
    (face,) = Engine().detect(photo)
    left, top, right, bottom = (round(v) for v in face.box_xyxy)
    tight, wide = photo[top:bottom, left:right], photo[max(0, top - 30) : bottom + 30, left - 30 : right + 30]
    return [tight, wide, tight[:, ::-1]]


@pytest.mark.parametrize("name", NAMES)
def test_every_backbone_answers_as_in_torch(name: str, faces: list[np.ndarray]):
    ours, theirs = (load_model(name, device="cpu", runtime=runtime) for runtime in ("torch", "openvino"))
    assert (ours.runtime, theirs.runtime) == ("torch", "openvino")
    for crops in (faces[:1], faces, NOISE):
        maps = "default" if ours.has_maps else None
        a, b = (model.predict(crops, maps=maps, embed=True) for model in (ours, theirs))
        assert a.labels == b.labels
        assert np.nanmax(np.abs(a.probabilities - b.probabilities)) < 1e-4
        if a.affect is not None:
            assert b.affect == pytest.approx(a.affect, abs=1e-4)
        if a.maps is not None:
            apart = np.abs(a.maps - b.maps)
            assert np.nanmean(apart) < 1e-3
            assert np.nanmax(apart) < 5e-2  # a unit within rounding of its kink may pass here and not there
        assert b.embedding == pytest.approx(a.embedding, rel=1e-3, abs=1e-3)


def test_networks_of_others_answer_as_in_torch(cache: Path):
    """Their logits are all the embedding there is: one tensor, two outputs."""
    torch.manual_seed(0)
    network = ExternalNetwork(torch.nn.Sequential(torch.nn.Conv2d(3, 8, 16), torch.nn.Flatten()), 8)
    expected = Model(toy_card(), copy.deepcopy(network)).predict(NOISE, embed=True)
    for runtime in ("openvino", "auto"):  # converted now, and kept
        model = Model(toy_card(), copy.deepcopy(network), runtime=runtime)
        assert (model.runtime, model.has_maps) == ("openvino", False)
        answer = model.predict(NOISE, maps="default", embed=True)
        assert answer.probabilities == pytest.approx(expected.probabilities, abs=1e-4)
        assert answer.embedding == pytest.approx(expected.embedding, abs=1e-4)
        assert (answer.affect, answer.maps) == (None, None)


def test_batches_and_threads_do_not_change_an_answer(toy_cache: Path):
    model = Model(toy_card(), lively_tiny(), runtime="openvino")
    assert model.runtime == "openvino"
    alone = [model.predict([crop]).probabilities for crop in NOISE]
    with ThreadPoolExecutor(8) as pool:
        again = list(pool.map(lambda crop: model.predict([crop]).probabilities, NOISE * 8))
    assert all(np.array_equal(a, b) for a, b in zip(alone * 8, again, strict=True))
    assert model.predict(NOISE).probabilities == pytest.approx(np.concatenate(alone), abs=1e-6)


def test_a_network_is_converted_once(toy_cache: Path, monkeypatch: pytest.MonkeyPatch):
    first = Model(toy_card(), lively_tiny(), runtime="openvino").predict(NOISE)
    assert [folder.name for folder in toy_cache.iterdir()] == [openvino.graphs_name(toy_card().network_key)]
    assert openvino.is_kept(toy_card().network_key)
    monkeypatch.setattr(openvino, "converted", None)
    kept = Model(toy_card(), lively_tiny(), runtime="auto")
    assert kept.runtime == "openvino"
    assert np.array_equal(kept.predict(NOISE).probabilities, first.probabilities)


def test_what_was_compiled_is_kept_beside_the_graphs(toy_cache: Path):
    def graphs_from_cache() -> list[bool]:
        model = Model(toy_card(), lively_tiny(), runtime="auto")
        answers.append(model.predict(NOISE, maps="default"))
        compiled = model._runner._compiled
        return [compiled[part].get_property("LOADED_FROM_CACHE") for part in ("body", "maps")]

    Model(toy_card(), lively_tiny(), runtime="openvino")
    answers: list[ModelOutput] = []
    (folder,) = toy_cache.iterdir()
    assert graphs_from_cache() == [False, False]
    assert graphs_from_cache() == [True, True]
    blobs = list(folder.glob("*.blob"))
    weights = sum(file.stat().st_size for file in folder.glob("*.bin"))
    assert len(blobs) == 2
    assert weights > 0
    for blob, damage in zip(blobs, (b"", bytes(range(256))), strict=True):
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:100] + damage)
    assert graphs_from_cache() == [False, False]
    assert graphs_from_cache() == [True, True]
    for answer in answers[1:]:
        assert np.array_equal(answer.probabilities, answers[0].probabilities)
        assert np.array_equal(answer.maps, answers[0].maps)


def test_graphs_that_nobody_reads_any_more_go(toy_cache: Path):
    cards = [toy_card(sha256=digit) for digit in "0123"]
    for card in cards[:3]:
        Model(card, lively_tiny(), runtime="openvino")
    old = time.time() - (openvino.KEPT_DAYS + 1) * 86_400
    for card in cards[:2]:
        os.utime(toy_cache / openvino.graphs_name(card.network_key), (old, old))
    assert Model(cards[0], lively_tiny(), runtime="auto").runtime == "openvino"  # read, so it stays
    Model(cards[3], lively_tiny(), runtime="openvino")
    assert [openvino.is_kept(card.network_key) for card in cards] == [True, False, True, True]


@pytest.mark.parametrize("loss", [shutil.rmtree, lambda folder: (folder / "maps.xml").unlink()])
def test_a_cache_may_be_emptied_while_a_model_runs(toy_cache: Path, loss: Callable[[Path], None]):
    Model(toy_card(), lively_tiny(), runtime="openvino")
    model = Model(toy_card(), lively_tiny(), runtime="auto")
    expected = Model(toy_card(), lively_tiny(), runtime="auto").predict(NOISE, maps="default").maps
    loss(*toy_cache.iterdir())
    assert np.array_equal(model.predict(NOISE, maps="default").maps, expected)


def test_a_converted_network_is_built_only_for_other_maps(
    toy_cache: Path, tiny_weights: tuple[Path, Card], monkeypatch: pytest.MonkeyPatch
):
    plain = load_model("tiny", weights_dir=tiny_weights[0], runtime="torch")
    load_model("tiny", weights_dir=tiny_weights[0], runtime="openvino")
    built = []
    build = ShippedModel.build
    monkeypatch.setattr(ShippedModel, "build", lambda source: built.append(source.name) or build(source))
    model = load_model("tiny", weights_dir=tiny_weights[0], runtime="auto")
    answer = model.predict(NOISE, maps="default")
    assert answer.probabilities == pytest.approx(plain.predict(NOISE).probabilities, abs=1e-4)
    assert model.has_maps
    assert model.method("default") == "hirescam"
    assert built == []
    for _ in range(2):
        expected = plain.predict(NOISE, maps="grad-cam").maps
        assert model.predict(NOISE, maps="grad-cam").maps == pytest.approx(expected, abs=1e-4)
    assert built == ["tiny"]
    assert {weight.device.type for weight in model.network.body.parameters()} == {"meta"}


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize("compiled_later", [True, False])
def test_a_converted_model_is_copied_and_travels(
    compiled_later: bool,
    copied: Callable[[Model], Model],
    toy_cache: Path,
    tiny_weights: tuple[Path, Card],
):
    model = load_model("tiny", weights_dir=tiny_weights[0], runtime="torch" if compiled_later else "openvino")
    model.compile()
    for method in ("default", "layercam"):
        answer, again = model.predict(NOISE, maps=method), copied(model).predict(NOISE, maps=method)
        assert again.probabilities == pytest.approx(answer.probabilities, abs=1e-6)
        assert again.maps == pytest.approx(answer.maps, abs=1e-4)
    assert copied(model).runtime == "openvino"


def test_a_converted_model_travels_to_a_machine_that_has_not_converted_it(
    toy_cache: Path, tiny_weights: tuple[Path, Card]
):
    model = load_model("tiny", weights_dir=tiny_weights[0], runtime="openvino")
    unnamed = pickle.dumps(Model(toy_card(), lively_tiny(), runtime="openvino"))
    answer, packed = model.predict(NOISE, maps="grad-cam"), pickle.dumps(model)
    shutil.rmtree(toy_cache)
    arrived = pickle.loads(packed)
    assert arrived.runtime == "torch"
    assert arrived.predict(NOISE).probabilities == pytest.approx(answer.probabilities, abs=1e-4)
    assert arrived.predict(NOISE, maps="grad-cam").maps == pytest.approx(answer.maps, abs=1e-4)
    with pytest.raises(WeightsError, match="load it by name"):
        pickle.loads(unnamed)


def test_other_maps_are_not_made_by_weights_that_came_later(toy_cache: Path, tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    load_model("tiny", weights_dir=folder, runtime="openvino")
    model = load_model("tiny", weights_dir=folder, runtime="auto")
    write_weights(folder, lively_tiny(seed=9))
    model.predict(NOISE, maps="default")
    with pytest.raises(WeightsError, match="changed"):
        model.predict(NOISE, maps="layercam")


def test_damaged_weights_are_noticed_behind_kept_graphs(toy_cache: Path, tiny_weights: tuple[Path, Card]):
    folder, _ = tiny_weights
    load_model("tiny", weights_dir=folder, runtime="openvino")
    weights = folder / "tiny.safetensors"
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(WeightsError, match="damaged"):
        load_model("tiny", weights_dir=folder, runtime="auto")


def test_networks_are_converted_from_any_thread(cache: Path):
    """As `Engine.preload` does on several cores: torch's exporter bears nobody beside it."""
    networks = [(toy_card(sha256=str(seed)), lively_tiny(seed)) for seed in range(3)]
    with ThreadPoolExecutor(5) as pool:
        beside = Model(toy_card(), lively_tiny())
        read = [pool.submit(beside.predict, NOISE) for _ in range(20)]
        models = list(pool.map(lambda pair: Model(*pair, runtime="openvino"), networks))
        answers = {done.result().probabilities.tobytes() for done in read}
    assert [model.runtime for model in models] == ["openvino"] * 3
    assert len(answers) == 1


def test_a_graph_that_did_not_compile_may_be_tried_again(toy_cache: Path, monkeypatch: pytest.MonkeyPatch):
    class Full:
        def compile_model(self, *arguments: object) -> None:
            raise RuntimeError("no memory")

    model = Model(toy_card(), lively_tiny(), runtime="openvino")
    with monkeypatch.context() as patch:
        patch.setattr(openvino, "_core", Full)
        with pytest.raises(RuntimeError, match="no memory"):
            model.predict(NOISE, maps="default")
    assert model.predict(NOISE, maps="default").maps is not None


def test_nobody_is_told_of_a_conversion(cache: Path, monkeypatch: pytest.MonkeyPatch):
    telemetry = pytest.importorskip("openvino_telemetry")
    told: list[object] = []
    monkeypatch.setattr(telemetry.Telemetry, "init", lambda *what, **more: told.append(what))
    monkeypatch.setattr(telemetry.Telemetry, "send_event", lambda *what, **more: told.append(what))
    assert Model(toy_card(), lively_tiny(), runtime="openvino").runtime == "openvino"
    assert told == []


def test_other_weights_or_other_code_are_other_graphs(cache: Path, monkeypatch: pytest.MonkeyPatch):
    names = {openvino.graphs_name("a" * 64), openvino.graphs_name("b" * 64)}
    monkeypatch.setattr(openvino, "_versions", lambda: "0" * 16)
    names.add(openvino.graphs_name("a" * 64))
    assert len(names) == 3


def test_auto_converts_nothing(cache: Path):
    assert Model(toy_card(), lively_tiny(), runtime="auto").runtime == "torch"
    assert not cache.exists()


def test_damaged_graphs_are_made_again(toy_cache: Path):
    Model(toy_card(), lively_tiny(), runtime="openvino")
    (folder,) = toy_cache.iterdir()
    (folder / "body.xml").write_text("<net", encoding="utf-8")
    assert Model(toy_card(), lively_tiny(), runtime="auto").runtime == "torch"
    assert not folder.exists()
    assert Model(toy_card(), lively_tiny(), runtime="openvino").runtime == "openvino"


def test_a_folder_that_cannot_be_written_is_no_error(toy_cache: Path):
    toy_cache.parent.mkdir(parents=True)
    toy_cache.write_text("a file stands in the way")
    assert Model(toy_card(), lively_tiny(), runtime="openvino").runtime == "openvino"


def test_what_openvino_cannot_take_stays_in_torch(cache: Path, caplog: pytest.LogCaptureFixture):
    class Odd(torch.nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return features * float(features.sum())  # a number that no graph can know

    network = lively_tiny()
    network.body = torch.nn.Sequential(network.body, Odd())
    with caplog.at_level(logging.WARNING):
        model = Model(toy_card(), network, runtime="openvino")
    assert model.runtime == "torch"
    assert [record.levelname for record in caplog.records if record.name == openvino.log.name] == ["WARNING"]
    assert model.predict(NOISE).probabilities.shape == (5, 8)


def test_a_slice_of_everything_is_no_obstacle(cache: Path):
    """PyTorch 2.8 writes one for every ":" of an index."""

    class Sliced(torch.nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return torch.ops.aten.slice.Tensor(features)

    network = lively_tiny()
    network.body = torch.nn.Sequential(network.body, Sliced())
    model = Model(toy_card(), network, runtime="openvino")
    assert model.runtime == "openvino"
    expected = Model(toy_card(), lively_tiny()).predict(NOISE).probabilities
    assert model.predict(NOISE).probabilities == pytest.approx(expected, abs=1e-6)


def test_a_head_without_closed_form_stays_in_torch(cache: Path):
    class Plain(PooledLinearHead):
        jacobian = Head.jacobian

    network = lively_tiny()
    network.head.__class__ = Plain
    model = Model(toy_card(), network, runtime="openvino")
    assert model.runtime == "torch"
    expected = Model(toy_card(), lively_tiny()).predict(NOISE, maps="default").maps
    assert model.predict(NOISE, maps="default").maps == pytest.approx(expected, abs=1e-6)


def test_a_card_with_fewer_labels_is_another_network(toy_cache: Path):
    Model(toy_card(), lively_tiny(), runtime="openvino")
    fewer = toy_card(labels=("neutral", "happiness"), bias=(0.0, 0.0))
    assert Model(fewer, lively_tiny(classes=2), runtime="auto").runtime == "torch"


def test_an_engine_converts_in_the_background(cache: Path, tmp_path: Path):
    folder = tmp_path / "weights"
    folder.mkdir()
    for path in WEIGHTS_DIR.glob("human_emotion.*"):
        shutil.copy(path, folder)
    photo = load_image(EXAMPLES / "astronaut.jpg")
    engine = Engine(folder, device="cpu")
    (before,) = engine.compare(photo, method=None)
    thread = engine.convert_in_background()
    assert thread is not None
    thread.join()
    (after,) = engine.compare(photo, method=None)
    (free,), (fast,) = before.predictions, after.predictions
    assert (free.runtime, fast.runtime) == ("torch", "openvino")
    assert fast.probabilities == pytest.approx(free.probabilities, abs=1e-4)
    assert engine.convert_in_background() is None
