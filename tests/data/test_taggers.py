from pathlib import Path

import numpy as np
import pytest

from fer_space.data.taggers import SPLIT, UNSEEN, open_tagged
from fer_space.errors import DataError, InputError
from tests.data.making import fer_csv, pixels

VOTES = {
    "clear": [10, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "divided": [4, 3, 3, 0, 0, 0, 0, 0, 0, 0],
    "unknown": [2, 0, 0, 0, 0, 0, 0, 0, 8, 0],
    "no face": [0, 0, 0, 0, 0, 0, 0, 0, 0, 10],
}


def test_every_face_is_read_with_its_votes_and_why_it_has_no_label(tmp_path: Path):
    fer_csv(tmp_path, [("test", 6, f"{name}.png", votes) for name, votes in VOTES.items()])
    faces = open_tagged(f"ferplus:{tmp_path}", "test")
    assert faces.files == tuple(f"{name}.png" for name in VOTES)
    assert faces.votes.tolist() == list(VOTES.values())
    assert faces.labels.tolist() == [0, -1, -1, -1]
    assert faces.without_label(SPLIT).tolist() == [False, True, False, False]
    assert faces.without_label(UNSEEN).tolist() == [False, False, True, True]
    np.testing.assert_array_equal(faces.read(2)[..., 0], pixels(2, 48))


def test_a_damaged_picture_is_named(tmp_path: Path):
    fer_csv(tmp_path, [("test", 6, "a.png", VOTES["clear"])])
    faces = open_tagged(f"ferplus:{tmp_path}", "test")
    broken = type(faces)(faces.name, faces.split, faces.files, (lambda: b"no picture",), faces.votes)
    with pytest.raises(DataError, match=r"ferplus: a\.png"):
        broken.read(0)


@pytest.mark.parametrize("data", ["folder:x", "ferplus:x+folder:y"])
def test_other_sets_have_no_votes(data: str):
    with pytest.raises(InputError, match="only ferplus:DIR has"):
        open_tagged(data, "test")
