import numpy as np
import pytest

from fer_space.types import Explanation, Face, Prediction


def prediction(name: str, probabilities: dict[str, float]) -> Prediction:
    return Prediction(name, probabilities, 0.0, 0.0, "circumplex", 1.0)


@pytest.mark.parametrize("box", [(5, 0, 5, 9), (0, 9, 5, 1), (0, 0, float("nan"), 1)])
def test_impossible_boxes_are_refused(box: tuple[float, float, float, float]):
    with pytest.raises(ValueError, match="box"):
        Face(box, 0.5)


@pytest.mark.parametrize(
    "row", [{}, {"happiness": 0.5, "neutral": 0.5}, {"neutral": 0.5}, {"hunger": 1.0}], ids=str
)
def test_impossible_probabilities_are_refused(row: dict[str, float]):
    with pytest.raises(ValueError, match="probabilities"):
        prediction("x", row)


def test_heatmap_out_of_range_is_refused():
    with pytest.raises(ValueError, match="lies in"):
        Explanation(np.full((2, 2), 1.5, np.float32), "fear", "grad-cam")
