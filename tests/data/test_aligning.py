"""Faces of whole pictures: found once, cut out upright, kept."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from fer_space.data import collect, open_data
from fer_space.data.aligning import align_rows, aligned, known_faces, look
from fer_space.data.faceset import FaceSet, one_hot
from fer_space.data.found import NO_FACE, Found
from fer_space.data.manifest import write_manifest
from fer_space.errors import DataError
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import encode_png
from tests.data.making import picture, text
from tests.toys import toy_landmarks

RULE = CropRule()
WIDE = CropRule(scale=1.5)
BOX = (8.0, 8.0, 40.0, 48.0)
POINTS = toy_landmarks(BOX)
Picture = NDArray[np.uint8]


def seeing(*faces: Face) -> Callable[[Picture], Sequence[Face]]:
    """Sees the same faces everywhere, but none in a black picture, and notes the pictures' shapes."""

    def detect(image_rgb: Picture) -> Sequence[Face]:
        detect.shapes.append(image_rgb.shape[:2])  # type: ignore[attr-defined]
        return faces if image_rgb.any() else ()

    detect.shapes = []  # type: ignore[attr-defined]
    return detect


def split_of(split: str, black: Sequence[int] = (), count: int = 4) -> FaceSet:
    pictures = np.random.default_rng(0).integers(1, 256, (count, 60, 60, 3), dtype=np.uint8)
    pictures[list(black)] = 0
    names, labels = tuple(f"{i}.png" for i in range(count)), np.arange(count)
    return FaceSet("made", split, names, lambda i: encode_png(pictures[i]), labels, one_hot(labels))


def test_faces_are_cut_out_as_the_engine_cuts_them():
    faces, face = split_of("test"), Face(BOX, 0.9, POINTS)
    found = aligned(faces, "any", seeing(face, Face((0, 0, 9, 9), 0.9)), WIDE)
    for i in range(len(faces)):
        whole = faces.read(i)
        np.testing.assert_array_equal(found.read(i), crop_face(whole, face, WIDE).image_rgb)
        np.testing.assert_array_equal(found.read_whole(i), whole)


def test_training_loses_pictures_without_a_face_and_a_test_keeps_them():
    detect = seeing(Face(BOX, 0.9, POINTS))
    train = aligned(split_of("train", black=[1, 2]), "any", detect, RULE)
    assert train.files == ("0.png", "3.png")
    assert [(bad.file, bad.why, bad.split) for bad in train.dropped] == [
        ("1.png", NO_FACE, "train"),
        ("2.png", NO_FACE, "train"),
    ]
    test = aligned(split_of("test", black=[1]), "any", detect, RULE)
    assert test.files == ("0.png", "1.png", "2.png", "3.png")
    assert test.read(1).shape == (60, 60, 3)
    with pytest.raises(DataError, match=f"no usable picture in its train split.*{NO_FACE}"):
        aligned(split_of("train", black=range(4)), "any", detect, RULE)


def test_what_the_same_detector_found_is_not_looked_for_again():
    first = aligned(split_of("test", black=[1]), "any", seeing(Face(BOX, 0.9, POINTS)), RULE)
    idle = seeing()
    again = aligned(first, "any", idle, WIDE)
    assert not idle.shapes
    assert again.found_by("other", 0) is None
    expected = crop_face(first.read_whole(0), Face(BOX, 0.9, POINTS), WIDE).image_rgb
    np.testing.assert_array_equal(again.read(0), expected)
    other = seeing()
    aligned(first, "other", other, RULE)
    assert len(other.shapes) == 4


@given(st.integers(0, 30), st.integers(0, 30), st.integers(10, 25), st.integers(10, 25))
def test_the_face_in_the_owners_box_is_looked_for_around_it(left: int, top: int, width: int, height: int):
    box = (float(left), float(top), float(left + width), float(top + height))
    image_rgb = np.full((80, 80, 3), 9, np.uint8)

    def detect(window: Picture) -> Sequence[Face]:
        """Sees a large stranger in the corner, and the face where it is."""
        assert window.shape[0] <= 2 * height + 1
        x0, y0 = max(0, int(np.floor(left - width / 2))), max(0, int(np.floor(top - height / 2)))
        mine = (left - x0, top - y0, left + width - x0, top + height - y0)
        assert mine[2] <= window.shape[1]
        return Face((-40, -40, 0.5, 0.5), 0.99), Face(mine, 0.5, toy_landmarks(mine))

    found = look(encode_png(image_rgb), box, "any", detect)
    assert found.face is not None
    assert found.face.landmarks is not None
    np.testing.assert_allclose(found.face.box_xyxy, box)
    np.testing.assert_allclose(found.face.landmarks, toy_landmarks(box), atol=1e-4)


def test_a_face_beside_the_owners_box_is_not_taken():
    faces = replace(split_of("train"), boxes=((0.0, 0.0, 20.0, 20.0),) * 4)
    found = aligned(faces, "any", seeing(Face((20, 20, 30, 30), 0.9)), RULE)
    assert len(found) == 4, "the box says what is cut out, so nothing is lost"
    np.testing.assert_array_equal(found.read(0), faces.read(0))
    assert found.read(0).shape == (20, 20, 3)


@pytest.mark.parametrize("points", [POINTS, POINTS[[36, 45, 30, 48, 54]], None], ids=["68", "5", "box alone"])
def test_a_manifest_keeps_what_was_found(tmp_path: Path, points: NDArray[np.float32] | None):
    for name in ("a", "b", "c"):
        picture(tmp_path / "faces" / "happy" / f"{name}.png", ord(name))
    collection = collect("folder", tmp_path / "faces")
    face = Face((1 / 3, 0.1, 6.7, 7.9), 0.75, None if points is None else points / 9)
    (tmp_path / "faces" / "happy" / "b.png").write_bytes(encode_png(np.zeros((8, 8, 3), np.uint8)))
    found = align_rows(collection, "any", seeing(face), WIDE)
    rows = collect("csv", write_manifest(found, tmp_path / "out")).rows
    for row, again in zip(found.rows, rows, strict=True):
        assert row.found is not None
        assert again.found is not None
        assert (again.found.detector, again.found.sha256) == ("any", row.found.sha256)
        assert (again.found.face is None) == again.is_faceless == (row.file == "happy/b.png")
        np.testing.assert_array_equal(again.decode(), row.decode())
    train, test = (
        open_data(f"csv:{tmp_path / 'out' / 'manifest.csv'}", split) for split in ("train", "test")
    )
    assert (len(train), len(test)) == (2, 3)
    assert train.dropped[0].why == NO_FACE
    idle = seeing()
    align_rows(collection, "any", idle, RULE, known_faces(rows, "any"))
    assert not idle.shapes
    picture(tmp_path / "faces" / "happy" / "c.png", 7)
    align_rows(collection, "any", idle, RULE, known_faces(rows, "any"))
    assert len(idle.shapes) == 1, "a picture that changed is looked at again"


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("any,0,1,1 2 3,,1 0 0 0 1 0", "4 numbers"),
        ("any,0,1,1 2 3 4,,1 0 0", "transform 6"),
        ("any,0,1,1 2 3 4,1 2 3,1 0 0 0 1 0", "landmarks 10, 136 or none"),
        ("any,0,1,1 2 3 x,,1 0 0 0 1 0", "no number"),
        ("any,0,1,1 2 3 nan,,1 0 0 0 1 0", "not finite"),
        ("any,0,1,3 2 1 4,,1 0 0 0 1 0", "no area"),
        ("any,0,much,1 2 3 4,,1 0 0 0 1 0", "score is “much”"),
    ],
)
def test_a_damaged_face_costs_its_row(tmp_path: Path, cells: str, why: str):
    picture(tmp_path / "a.png")
    head = "file,label,detector,sha256,score,face,landmarks,transform\n"
    text(tmp_path / "set.csv", f"{head}a.png,happy,{cells}\na.png,sad,,,,,,\n")
    (bad,) = collect("csv", tmp_path / "set.csv").dropped
    assert why in bad.why


def test_a_face_and_its_transform_belong_together():
    with pytest.raises(ValueError, match="belong together"):
        Found("any", "", Face(BOX, 0.5))
    with pytest.raises(ValueError, match="no face"):
        Found("any", "").crop(np.zeros((4, 4, 3), np.uint8))


def test_a_picture_that_changed_is_not_cut_by_its_old_face():
    found = aligned(split_of("test"), "any", seeing(Face(BOX, 0.9, POINTS)), RULE)
    other = encode_png(np.full((80, 80, 3), 99, np.uint8))
    changed = replace(found, encoded=lambda i: other if i == 1 else found.encoded(i))
    assert changed.found_by("any", 0) is not None
    assert changed.found_by("any", 1) is None
    with pytest.raises(DataError, match="has changed since its face was found"):
        changed.read(1)
    again = seeing(Face(BOX, 0.9, POINTS))
    assert aligned(changed, "any", again, RULE).read(1).shape == found.read(0).shape
    assert again.shapes == [(80, 80)]
