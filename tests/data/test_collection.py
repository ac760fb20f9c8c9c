import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_space.data.collection import (
    Collection,
    Row,
    hash_share,
    held_out_split,
    three_way_split,
    valid_affect,
)
from fer_space.data.faceset import Dropped, FaceSet, decode_face, one_hot
from fer_space.errors import DataError, ImageError, UnknownNameError
from tests.data.making import pixels, png


def rows(count: int, split: str = "train") -> tuple[Row, ...]:
    return tuple(
        Row(f"{i}.png", split, i % 8, lambda i=i: png(i, 8), subject=f"s{i}", affect=(i / 10, 0.0))
        for i in range(count)
    )


@given(st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_select_gives_the_same_faces_in_the_asked_order(indices: list[int]):
    faces = Collection("toy", rows(6)).faces("train", check=False)
    chosen = faces.select(indices).select(range(len(indices)))
    assert chosen.files == tuple(faces.files[i] for i in indices)
    assert chosen.subjects == tuple(f"s{i}" for i in indices)
    np.testing.assert_array_equal(chosen.labels, faces.labels[indices])
    np.testing.assert_array_equal(chosen.targets, faces.targets[indices])
    assert chosen.affect is not None
    assert faces.affect is not None
    np.testing.assert_array_equal(chosen.affect, faces.affect[indices])
    np.testing.assert_array_equal(chosen.read(0), faces.read(indices[0]))


def test_selecting_nothing_or_too_far_is_an_error():
    faces = Collection("toy", rows(3)).faces("train", check=False)
    with pytest.raises(DataError, match="no usable"):
        faces.select([])
    with pytest.raises(IndexError):
        faces.select([3])


@given(st.text(), st.integers(1, 50))
def test_a_share_is_a_number_below_the_parts(key: str, parts: int):
    assert 0 <= hash_share(key, parts) < parts


def test_shares_are_the_same_on_every_machine():
    assert [hash_share(f"S{number}", 10) for number in range(8)] == [2, 8, 3, 0, 3, 0, 1, 5]


def test_shares_are_about_eight_one_one():
    words = [three_way_split(f"S{i}") for i in range(4000)]
    shares = [words.count(split) / 4000 for split in ("train", "valid", "test")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    held = [held_out_split(f"S{i}") for i in range(4000)].count("valid") / 4000
    assert held == pytest.approx(0.1, abs=0.02)


@given(st.floats(), st.floats())
def test_affect_is_valid_in_both_or_nan_in_both(valence: float, arousal: float):
    pair = valid_affect(valence, arousal)
    inside = all(-1.0 <= value <= 1.0 for value in (valence, arousal))
    assert pair == (valence, arousal) if inside else all(map(math.isnan, pair))


@given(st.tuples(*[st.floats(-30, 30) for _ in range(4)]))
def test_a_box_gives_a_part_of_the_picture_or_an_error(box: tuple[float, float, float, float]):
    try:
        cut = decode_face(png(0, 8), box)
    except ImageError:
        left, right, top, bottom = (round(min(max(box[i], 0), 8)) for i in (0, 2, 1, 3))
        assert left >= right or top >= bottom
        return
    assert cut.shape[2] == 3
    assert 0 < cut.shape[0] <= 8
    assert 0 < cut.shape[1] <= 8


def test_a_box_is_cut_out():
    np.testing.assert_array_equal(decode_face(png(0, 8), (2, 1, 5, 99))[..., 0], pixels(0)[1:, 2:5])


def test_unreadable_pictures_are_dropped_with_their_reason():
    bad = Row("bad.png", "train", 0, lambda: b"no picture")
    collection = Collection("toy", (*rows(2), bad), (Dropped("x", "why", "test"),))
    faces = collection.faces("train")
    assert faces.files == ("0.png", "1.png")
    assert [item.file for item in faces.dropped] == ["bad.png"]
    with pytest.raises(DataError, match="the first is x: why"):
        collection.faces("test")
    with pytest.raises(UnknownNameError, match="valid"):
        collection.faces("validation")


def test_optional_fields_must_fit():
    good = Collection("toy", rows(2)).faces("train", check=False)
    with pytest.raises(DataError, match="as many"):
        FaceSet("toy", "train", good.files, good.encoded, good.labels, good.targets, subjects=("a",))


def test_what_was_left_out_is_said(capsys: pytest.CaptureFixture[str]):
    whole = FaceSet(
        name="set",
        split="train",
        files=("a",),
        encoded=lambda i: b"",
        labels=np.zeros(1, dtype=np.int64),
        targets=one_hot(np.zeros(1, dtype=np.int64)),
    )
    whole.say_dropped()
    assert capsys.readouterr().err == ""
    bad = [Dropped("b", "missing"), Dropped("c", "unreadable"), Dropped("d", "missing")]
    replace(whole, dropped=tuple(bad)).say_dropped()
    assert capsys.readouterr().err == "set train: 3 left out (2: missing; 1: unreadable)\n"
