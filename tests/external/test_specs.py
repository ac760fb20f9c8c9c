"""The manifest: complete, and at one with the registry."""

import subprocess
import sys

import pytest

from fer_space.backbones.specs import BACKBONES
from fer_space.detectors.specs import DETECTORS
from fer_space.errors import WeightsError
from fer_space.external.download import ALLOWED
from fer_space.external.specs import HUB, MANIFEST, ExternalSpec, colour_of
from tests.external.networks import HSEMOTION


@pytest.mark.parametrize("spec", MANIFEST.values(), ids=list(MANIFEST))
def test_entries_are_complete(spec: ExternalSpec):
    assert spec.licence.endswith(".")
    assert spec.parameters > 0
    assert spec.max_bytes > 4 * spec.parameters * 0.95
    assert len(spec.sha256) == 64
    assert len(spec.revision) == 40
    if spec.kind == "onnx":
        assert spec.source.startswith(ALLOWED)
        assert spec.revision in spec.source
    else:
        assert spec.name == HUB + spec.source


def test_names_titles_and_colours_are_unique():
    specs = [*BACKBONES.values(), *MANIFEST.values()]
    for kind in ("name", "title", "colour"):
        values = [getattr(spec, kind) for spec in specs]
        assert len(set(values)) == len(values)
    assert not set(MANIFEST) & set(DETECTORS)


def test_what_hsemotion_wants():
    multitask, larger = MANIFEST["enet_b0_8_va_mtl"], MANIFEST["enet_b2_8"]
    assert multitask.labels == larger.labels == HSEMOTION
    assert (multitask.affect, larger.affect) == (True, False)
    assert (multitask.preprocess.input_size, larger.preprocess.input_size) == (224, 260)
    assert not multitask.preprocess.gray
    assert not multitask.crop.align
    assert "non-commercial" in multitask.licence


def test_specs_survive_the_round_trip():
    for spec in MANIFEST.values():
        assert ExternalSpec.from_values(spec.model_dump(mode="json")) == spec


@pytest.mark.parametrize(
    "change",
    [{"labels": ["hunger"]}, {"labels": []}, {"labels": ["anger", "anger"]}, {"preprocess": {}}, {"new": 1}],
)
def test_specs_that_are_refused(change: dict[str, object]):
    with pytest.raises(WeightsError, match="not known here"):
        ExternalSpec.from_values(MANIFEST["enet_b2_8"].model_dump(mode="json") | change)


def test_a_colour_for_everyone():
    assert [colour_of(name) for name in ("hub:a/b", "x")] == ["#6d28d9", "#a21caf"]


def test_listing_names_brings_no_model_library():
    code = (
        "import sys; from fer_space import list_models; list_models();"
        "assert not {'onnxruntime', 'transformers', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
