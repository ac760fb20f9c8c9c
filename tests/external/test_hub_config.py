import pytest

from fer_space.errors import SourceError
from fer_space.external.hub_config import labels_of, preprocess_of
from fer_space.vision.preprocess import Preprocess
from tests.external.networks import PREPROCESSOR

HALVES = (0.5, 0.5, 0.5)


def test_labels_go_by_their_names():
    named = {"1": "happy", "0": "Angry", "2": "fearful", "3": "contempt"}
    assert labels_of({"id2label": named}, "a/b") == ("anger", "happiness", "fear", "contempt")


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        pytest.param({}, "does not name its labels", id="none"),
        pytest.param({"id2label": {"0": "tabby cat"}}, "“tabby cat” is not an emotion", id="other things"),
        pytest.param({"id2label": {"0": "LABEL_0"}}, "a/b cannot be read .*“LABEL_0”", id="nameless"),
        pytest.param({"id2label": {"0": "sad", "1": "sadness"}}, "names an emotion twice", id="twice"),
        pytest.param({"id2label": {"1": "sad"}}, "number its labels from 0", id="from 1"),
    ],
)
def test_labels_that_are_refused(config: dict[str, object], sentence: str):
    with pytest.raises(SourceError, match=sentence):
        labels_of(config, "a/b")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, Preprocess(32, 32, False, HALVES, HALVES), id="square"),
        pytest.param({"size": 48}, Preprocess(48, 48, False, HALVES, HALVES), id="number"),
        pytest.param({"size": {"shortest_edge": 40}}, Preprocess(40, 40, False, HALVES, HALVES), id="edge"),
        pytest.param(
            {"do_center_crop": True, "crop_size": {"height": 28, "width": 28}},
            Preprocess(28, 28, False, HALVES, HALVES),
            id="centre crop",
        ),
        pytest.param(
            {"do_normalize": False}, Preprocess(32, 32, False, (0.0,) * 3, (1.0,) * 3), id="not normalised"
        ),
    ],
)
def test_preprocess(change: dict[str, object], expected: Preprocess):
    assert preprocess_of(PREPROCESSOR | change, "a/b") == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rescale_factor": "x"}, "from 0 to 1"),
        ({"size": {"height": [1], "width": [1]}}, "squares"),
        ({"size": 1_000_000}, "squares"),
        ({"image_mean": ["a", 1, 1]}, "normalised"),
        ({"image_mean": [None, 1, 1]}, "normalised"),
        ({"image_std": [float("nan"), 1, 1]}, "normalised"),
        ({"image_std": [0, 0, 0]}, "not positive"),
        pytest.param({"size": {"height": 32, "width": 40}}, "squares", id="no square"),
        pytest.param({"size": None}, "squares", id="no size"),
        pytest.param({"rescale_factor": 1.0}, "from 0 to 1", id="0 to 255"),
        pytest.param({"do_rescale": False}, "from 0 to 1", id="not rescaled"),
        pytest.param({"image_mean": [0.5]}, "normalised", id="gray"),
        pytest.param({"image_std": None}, "normalised", id="no deviation"),
    ],
)
def test_preprocess_that_is_refused(change: dict[str, object], sentence: str):
    with pytest.raises(SourceError, match=sentence):
        preprocess_of(PREPROCESSOR | change, "a/b")
