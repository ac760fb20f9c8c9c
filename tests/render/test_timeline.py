"""A video's readings as lanes over time."""

import re

import numpy as np
import pytest

from fer_space.emotions import EMOTIONS
from fer_space.render.timeline import FaceSpan, area_path, lane_of, line_path, spans, timeline_html
from tests.ui.desk import LOOKS


def row(
    time: float, label: str = "happiness", track: int = 1, backbone: str = "toy_lite", **more: object
) -> dict:
    shares = dict.fromkeys(EMOTIONS, 0.02) | {label: 0.86}
    values = {"agreement": 1.0, "disagreement_bits": 0.1, "valence": 0.5, "arousal": -0.5}
    return {"time": time, "track": track, "backbone": backbone, "label": label, **shares, **values, **more}


ROWS = [row(0.0), row(0.5), row(1.0, "sadness"), row(4.0, "sadness"), row(4.5, "sadness")]


def test_lines_break_where_the_face_is_lost():
    assert list(spans([0.0, 0.5, 1.0, 4.0, 4.5])) == [(0, 3), (3, 5)]
    assert list(spans([])) == []
    assert line_path([0.0, 0.5, 4.0], np.array([0.0, 0.5, 1.0]), 5.0) == "M0.0 0.0 100.0 50.0M800.0 100.0"


def test_areas_lie_between_their_lines():
    path = area_path([0.0, 1.0], np.array([0.0, 0.25]), np.array([1.0, 0.5]), 2.0)
    assert path == "M0.0 0.0 500.0 50.0 L500.0 75.0 0.0 100.0Z"


def test_a_lane_stacks_emotions_to_the_top_and_says_where_its_answer_changes():
    lane = lane_of("toy_lite", ROWS, 5.0)
    assert [area.emotion for area in lane.areas] == list(EMOTIONS)
    assert lane.areas[-1].path.startswith("M0.0 0.0")
    assert lane.labels == ((0.0, "happiness"), (1.0, "sadness"), (1.0, ""), (4.0, "sadness"), (5.5, ""))
    assert lane.words == "sadness 60 %, happiness 40 %"


def test_the_timeline_shows_one_face_and_offers_the_others():
    rows = [*ROWS, row(0.5, track=7)]
    faces = [FaceSpan(1, 2.0, "data:one"), FaceSpan(7, 0.1, "data:seven")]
    shown = timeline_html(rows, faces, 1, 5.0, LOOKS, "Cut <short>.")
    assert shown.count('class="fer-lane"') == 2  # a model, and valence with arousal
    assert 'data-track="7" aria-pressed="false"' in shown
    assert "Cut &lt;short&gt;." in shown
    assert re.search(r'data-length="5.000"', shown)


def test_frames_in_which_models_differ_are_marked():
    rows = [row(0.0), row(0.5, agreement=0.5, disagreement_bits=0.8), row(1.0)]
    shown = timeline_html(rows, [FaceSpan(1, 1.0, "")], 1, 2.0, LOOKS)
    assert shown.count("fer-split-mark") == 1
    assert 'x="250.0"' in shown
    assert re.search(r"33\s% of the frames", shown)


@pytest.mark.parametrize("length", [0.2, 3.0, 8.0, 60.0])
def test_there_are_at_most_eight_steps_of_time(length: float):
    shown = timeline_html([row(0.0)], [FaceSpan(1, 1.0, "")], 1, length, LOOKS)
    assert 1 <= len(re.findall(r'<span style="left:[\d.]+%">', shown)) <= 9
