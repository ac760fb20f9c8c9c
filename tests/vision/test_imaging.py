"""The public ways in, with good and wrong things handed to them; resampling."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from skimage.data import astronaut

from fer_space.errors import ImageError, InputError
from fer_space.vision.imaging import (
    MAX_SIDE,
    as_image,
    blend,
    encode_png,
    load_image,
    pad,
    resize,
    scaling,
    shrink,
    warp,
)

PHOTO = astronaut()[:40, :60]
GRAY = PHOTO[..., 1]
CLEAR = np.dstack([PHOTO, np.zeros(PHOTO.shape[:2], np.uint8)])

TAKEN = {
    "uint8 RGB": (PHOTO, PHOTO),
    "seen backwards": (PHOTO[::-1, ::-1], PHOTO[::-1, ::-1]),
    "gray (H, W)": (GRAY, np.dstack([GRAY] * 3)),
    "gray (H, W, 1)": (GRAY[..., None], np.dstack([GRAY] * 3)),
    "RGBA": (CLEAR, np.full_like(PHOTO, 255)),
    "float 0..1": (PHOTO / 255.0, PHOTO),
    "half floats": ((PHOTO > 99).astype(np.float16), (PHOTO > 99) * np.uint8(255)),
    "float gray": (GRAY / 255.0, np.dstack([GRAY] * 3)),
    "a tensor": (torch.from_numpy(PHOTO.copy()), PHOTO),
    "a Pillow picture": (Image.fromarray(PHOTO), PHOTO),
    "a Pillow picture with alpha": (Image.fromarray(CLEAR), np.full_like(PHOTO, 255)),
    "three rows": (PHOTO[:3], PHOTO[:3]),
}

REFUSED = {
    "nothing": (None, "no picture but NoneType"),
    "a path": ("photo.jpg", r"no picture but str \(fer_space.load_image reads files\)"),
    "a list": ([[0, 0, 0]], "no picture but list"),
    "uint16": (PHOTO.astype(np.uint16), r"uint16 \(40, 60, 3\)"),
    "int64": (PHOTO.astype(np.int64), r"int64 \(40, 60, 3\)"),
    "bool": (PHOTO > 99, "bool"),
    "words": (np.array([["a"]]), "<U1"),
    "float 0..255": (PHOTO.astype(np.float32), "from 0 to 1: .* from 0 to 2"),
    "below 0": (PHOTO / 127.5 - 1.0, "from 0 to 1: .* from -1"),
    "NaN": (np.full((4, 4, 3), np.nan), "not finite"),
    "infinite": (np.full((4, 4), np.inf), "not finite"),
    "channels first": (np.moveaxis(PHOTO, 2, 0), r"channels come first: this is uint8 \(3, 40, 60\)"),
    "gray channel first": (GRAY[None], "channels come first"),
    "a batch": (PHOTO[None], r"\(1, 40, 60, 3\)"),
    "two channels": (PHOTO[..., :2], r"\(40, 60, 2\)"),
    "a row": (PHOTO[0, :, 0], r"\(60,\)"),
    "empty": (np.zeros((0, 5, 3), np.uint8), "empty"),
    "too long": (np.zeros((1, MAX_SIDE + 1), np.uint8), "too long"),
    "float tensor": (torch.zeros(8, 8, 3), "Tensor of float32"),
    "tensor, channels first": (torch.zeros(3, 8, 8, dtype=torch.uint8), "channels come first"),
    "tensor with gradient": (torch.zeros(8, 8, 3, requires_grad=True), "Tensor that does not turn into"),
}


@pytest.mark.parametrize("name", TAKEN)
def test_arrays_that_mean_one_thing(name: str) -> None:
    array, pixels = TAKEN[name]
    image = as_image(array)
    assert image.dtype == np.uint8
    assert image.flags.c_contiguous
    np.testing.assert_array_equal(image, pixels)
    np.testing.assert_array_equal(load_image(array), pixels)


def test_a_good_array_is_not_copied() -> None:
    photo = PHOTO.copy()
    assert as_image(photo) is photo


@pytest.mark.parametrize("name", REFUSED)
def test_arrays_that_are_refused(name: str) -> None:
    array, sentence = REFUSED[name]
    with pytest.raises(ImageError, match=sentence) as caught:
        as_image(array)
    assert str(caught.value).count("\n") == 0


@given(
    arrays.arrays(
        st.one_of(arrays.scalar_dtypes()), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)
    )
)
def test_any_array_is_a_picture_or_a_sentence(array: Any) -> None:
    try:
        image = as_image(array)
    except ImageError:
        return
    assert image.dtype == np.uint8
    assert image.shape == (*array.shape[:2], 3)


def test_load_image(tmp_path: Path) -> None:
    file = tmp_path / "picture.png"
    file.write_bytes(encode_png(PHOTO))
    for source in (file, str(file), file.read_bytes(), bytearray(file.read_bytes()), Image.open(file), PHOTO):
        np.testing.assert_array_equal(load_image(source), PHOTO)


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("https://example.org/a.jpg", "is a URL"),
        ("nowhere.jpg", "There is no file “nowhere.jpg”"),
        ("nul\0.jpg", "not the name of a file"),
        (b"", "empty"),
        (Image.new("RGB", (0, 3)), "empty"),
    ],
)
def test_load_image_refuses(source: Any, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        load_image(source)


@pytest.mark.parametrize(
    "mode", ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I", "I;16", "F"]
)
def test_pillow_pictures_of_every_mode(mode: str) -> None:
    assert load_image(Image.new(mode, (5, 4))).shape == (4, 5, 3)


def test_a_pillow_picture_is_turned_upright_and_left_alone() -> None:
    picture = Image.fromarray(PHOTO)
    picture.getexif()[0x0112] = 6
    assert load_image(picture).shape == (60, 40, 3)
    assert picture.size == (60, 40)
    assert picture.getexif()[0x0112] == 6


def checkerboard(side: int) -> np.ndarray:
    cells = (np.indices((side, side)).sum(0) % 2 * 255).astype(np.uint8)
    return np.repeat(cells[:, :, None], 3, axis=2)


def test_resize_averages_when_it_shrinks() -> None:
    small = resize(checkerboard(256), (37, 41))
    assert small.shape == (37, 41, 3)
    assert small.std() < 20


def test_resize_interpolates_when_it_grows() -> None:
    grown = resize(np.array([[[0, 0, 0], [200, 200, 200]]], dtype=np.uint8), (1, 8))
    assert (np.diff(grown[0, :, 0].astype(int)) >= 0).all()
    assert len(set(grown[0, :, 0])) > 2


def test_shrink_brings_the_longer_side_down() -> None:
    assert shrink(checkerboard(64)[:, :20], 32).shape == (32, 10, 3)
    assert shrink(checkerboard(64)[:1], 3).shape == (1, 3, 3)
    assert shrink(PHOTO, 60) is PHOTO


def test_blend_takes_its_share_of_the_colours() -> None:
    alpha = np.array([[0.0, 0.5, 1.0]])
    below, above = np.full((1, 3, 3), 100, np.uint8), np.full((1, 3, 3), 201, np.uint8)
    np.testing.assert_array_equal(blend(below, above, alpha)[0, :, 0], [100, 150, 201])


def test_warp_by_the_identity_changes_nothing() -> None:
    image = np.ascontiguousarray(astronaut()[:300, :300])
    np.testing.assert_array_equal(warp(image, np.eye(3)[:2], 300), image)


def test_warp_has_no_aliasing() -> None:
    matrix = scaling(0.1, 0.1)[:2]
    assert warp(checkerboard(640), matrix, 64).std() < 10


@pytest.mark.parametrize("factor", [0.13, 0.5, 1.0, 2.7])
def test_warp_puts_points_where_the_matrix_says(factor: float) -> None:
    """The centre of gravity of a blob lands on its image."""
    image = np.zeros((400, 500, 3), dtype=np.uint8)
    image[185:216, 285:316] = 255
    turn = np.deg2rad(20.0)
    linear = factor * np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    matrix = np.column_stack([linear, np.array([75.0, 80.0]) - linear @ [300.0, 200.0]])
    weights = warp(image, matrix, 160)[:, :, 0].astype(float)
    rows, columns = np.indices(weights.shape)
    centre = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
    np.testing.assert_allclose(centre, (75.0, 80.0), atol=0.25)


def test_warp_repeats_the_edge_beyond_the_picture() -> None:
    image = np.full((20, 20, 3), 90, dtype=np.uint8)
    far_away = np.array([[1.0, 0.0, 500.0], [0.0, 1.0, -500.0]])
    assert (warp(image, far_away, 32) == 90).all()


def test_pad_repeats_the_edge() -> None:
    padded = pad(np.full((2, 3, 3), 5, dtype=np.uint8), 4)
    assert padded.shape == (10, 11, 3)
    assert (padded == 5).all()


def test_no_format_is_guessed_from_the_name(tmp_path: Path) -> None:
    file = tmp_path / "picture.jpg"
    file.write_bytes(encode_png(astronaut()))
    assert load_image(file).shape == (512, 512, 3)
