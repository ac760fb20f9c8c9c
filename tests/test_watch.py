"""Frames one after the other: when the detector looks, and what stays between frames."""

import tracemalloc
from pathlib import Path

import numpy as np

from fer_space.engine import Engine
from fer_space.types import Face
from fer_space.vision.video import Frame, frames
from fer_space.watch import Watcher
from tests.toys import ToyEngine
from tests.vision.films import film

NOISE = np.random.default_rng(0).integers(0, 255, (90, 120, 3), dtype=np.uint8)
PLAIN = np.full((90, 120, 3), 128, np.uint8)


class Counting(ToyEngine):
    """Counts how often the detector looks; follows faces unless told that they are lost."""

    def __init__(self) -> None:
        super().__init__(["toy_lite", "toy_resnet"])
        self.looks: list[int | None] = []
        self.lost = False

    def detect(self, image_rgb: np.ndarray, **how: object) -> list[Face]:
        self.looks.append(how["side"])
        return super().detect(image_rgb, **how)

    def follow(self, image_rgb: np.ndarray, faces: list[Face]) -> list[Face] | None:
        return None if self.lost else list(faces)


def shown(*pictures: np.ndarray) -> list[Frame]:
    return [Frame(number, 0.1 * number, picture) for number, picture in enumerate(pictures)]


def test_the_detector_looks_at_every_so_many_frames_and_where_a_face_is_lost():
    engine = Counting()
    watcher = Watcher(engine, side=320, every=4)
    for frame in shown(*[NOISE] * 8):
        watcher.look(frame)
    assert engine.looks == [320, 320]
    engine.lost = True
    watcher.look(Frame(8, 0.8, NOISE))
    watcher.look(Frame(9, 0.9, NOISE))
    assert len(engine.looks) == 4


def test_without_faces_the_detector_looks_at_every_frame():
    engine = Counting()
    watcher = Watcher(engine, every=4)
    seen = [watcher.look(frame) for frame in shown(*[PLAIN] * 3)]
    assert len(engine.looks) == 3
    assert [one.faces for one in seen] == [(), (), ()]


def test_an_engine_watches_and_tracks_keep_their_numbers():
    engine = ToyEngine(["toy_lite", "toy_resnet"])
    wide = np.random.default_rng(1).integers(0, 255, (90, 160, 3), dtype=np.uint8)
    watched = list(engine.watch(shown(wide, wide, PLAIN, wide), backbones=["toy_resnet"]))
    assert [[face.track for face in one.faces] for one in watched] == [[1, 2], [1, 2], [], [1, 2]]
    assert [one.number for one in watched] == [0, 1, 2, 3]
    assert watched[0].size_wh == (160, 90)
    assert watched[0].faces[0].comparison.predictions[0].backbone == "toy_resnet"
    assert set(engine.methods) == {None}


def test_two_faces_that_become_one_are_looked_for_again(monkeypatch):
    engine = Engine.__new__(Engine)
    face = Face((0, 0, 10, 10), 0.9)

    class Same:
        def follow(self, image_rgb: np.ndarray, one: Face) -> Face | None:
            return one if one.score < 1.0 else None

    engine._landmarker = Same()
    assert engine.follow(NOISE, [face]) == [face]
    assert engine.follow(NOISE, [face, Face((1, 0, 11, 10), 0.8)]) is None
    assert engine.follow(NOISE, [face, Face((50, 0, 60, 10), 1.0)]) is None


def test_memory_does_not_grow_with_the_length_of_a_video(tmp_path: Path):
    engine = ToyEngine(["toy_lite", "toy_resnet"])
    peaks = []
    for seconds in (2, 40):
        path = film(tmp_path / f"{seconds}.mp4", 12 * seconds, size_wh=(160, 90))
        tracemalloc.start()
        watched = engine.watch(frames(path, every=3))
        assert sum(len(one.faces) for one in watched) > 12
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0] + 200_000
