"""Decoding of good, odd and hostile files; resampling."""

import struct
import warnings
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageFile
from skimage.data import astronaut

from fer_space.errors import ImageError
from fer_space.vision import imaging
from fer_space.vision.imaging import decode_image, encode_png, pad, resize, scaling, warp

RED_AND_BLUE = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255]]], dtype=np.uint8))


def saved(picture: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, file_format, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = (header, b"IDAT" + zlib.compress(b""))
    framed = (struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def gif_of_two_frames() -> bytes:
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    return saved(frames[0], "GIF", save_all=True, append_images=frames[1:])


def cmyk() -> bytes:
    return saved(Image.new("CMYK", (4, 3), (0, 255, 255, 0)), "TIFF")


def alpha() -> bytes:
    return saved(Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0]]], dtype=np.uint8)), "PNG")


def gray_16_bit(*levels: int) -> bytes:
    return saved(Image.fromarray(np.array([levels], dtype=np.uint16)), "PNG")


def gray_float(*levels: float) -> bytes:
    return saved(Image.fromarray(np.array([levels], dtype=np.float32)), "TIFF")


def palette_with_transparency() -> bytes:
    picture = RED_AND_BLUE.quantize(2)
    return saved(picture, "PNG", transparency=picture.getpixel((1, 0)))


def encode_jpeg(image_rgb: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(image_rgb).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


SMALL = encode_jpeg(resize(astronaut(), (64, 64)))

REFUSED = {
    "empty file": (b"", "empty"),
    "truncated JPEG": (encode_jpeg(astronaut())[:9000], "damaged or cut short"),
    "JPEG header only": (SMALL[:20], "damaged or cut short"),
    "truncated PNG": (encode_png(astronaut())[:9000], "damaged or cut short"),
    "20,000x20,000 header": (png_header(20_000, 20_000), "limit is 40 million pixels"),
    "9,000x9,000 header": (png_header(9_000, 9_000), "limit is 40 million pixels"),
    "100,000x100 header": (png_header(100_000, 100), "limit is 30000 pixels a side"),
    "text renamed .jpg": (b"dear diary, today I saw a face\n" * 50, "or is none"),
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>', "or is none"),
    "too many bytes": (bytes(imaging.MAX_BYTES + 1), "limit is 25 MB"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "or is none"),
}

ACCEPTED = {
    "1x1": (saved(Image.new("RGB", (1, 1), (1, 2, 3)), "PNG"), [[[1, 2, 3]]]),
    "bilevel": (saved(Image.new("1", (1, 1), 1), "PNG"), [[[255, 255, 255]]]),
    "gray": (saved(Image.new("L", (1, 1), 7), "PNG"), [[[7, 7, 7]]]),
    "gray with alpha": (saved(Image.new("LA", (1, 1), (0, 0)), "PNG"), [[[255, 255, 255]]]),
    "alpha on white": (alpha(), [[[255, 0, 0], [255, 255, 255]]]),
    "palette": (saved(RED_AND_BLUE.quantize(2), "PNG"), [[[255, 0, 0], [0, 0, 255]]]),
    "transparent palette": (palette_with_transparency(), [[[255, 0, 0], [255, 255, 255]]]),
    "16-bit gray": (gray_16_bit(0, 0x8000, 0xFFFF), [[[0] * 3, [128] * 3, [255] * 3]]),
    "12 bits in 16": (gray_16_bit(0, 0x800, 0xFFF), [[[0] * 3, [128] * 3, [255] * 3]]),
    "black 16-bit": (gray_16_bit(0, 0), [[[0] * 3, [0] * 3]]),
    "float in [0, 1]": (gray_float(0.0, 0.2, 1.0), [[[0] * 3, [51] * 3, [255] * 3]]),
    "float in [0, 255]": (gray_float(0.0, 51.0, 255.0), [[[0] * 3, [51] * 3, [255] * 3]]),
    "float beyond": (gray_float(-100.0, 400.0), [[[0] * 3, [255] * 3]]),
    "float with NaN": (gray_float(float("nan"), 1.0), [[[0] * 3, [255] * 3]]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    data, sentence = REFUSED[name]
    with pytest.raises(ImageError, match=sentence) as caught:
        decode_image(data)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    data, pixels = ACCEPTED[name]
    image = decode_image(data)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, pixels)


def test_cmyk_is_red() -> None:
    red, green, blue = decode_image(cmyk())[0, 0]
    assert red > 200 > 60 > max(green, blue)


def test_animated_gif_gives_its_first_frame() -> None:
    np.testing.assert_array_equal(decode_image(gif_of_two_frames())[1, 1], (255, 0, 0))


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, file_format: str) -> None:
    """Undoing the camera's turn gives the upright picture back."""
    upright = Image.fromarray(resize(astronaut(), (40, 24)))
    turn = imaging._UPRIGHT.get(orientation)
    undo = {6: imaging._UPRIGHT[8], 8: imaging._UPRIGHT[6]}.get(orientation, turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    as_shot = upright if undo is None else upright.transpose(undo)
    image = decode_image(saved(as_shot, file_format, exif=exif))
    assert image.shape == (40, 24, 3)
    assert np.abs(image.astype(int) - np.asarray(upright)).mean() < 16


def test_every_cut_of_a_jpeg_is_refused() -> None:
    for end in range(0, len(SMALL) - 2, 7):
        with pytest.raises(ImageError):
            decode_image(SMALL[:end])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_never_crash(data: bytes) -> None:
    decode_or_refuse(data)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(
        [SMALL, gif_of_two_frames(), alpha(), cmyk(), gray_16_bit(1, 2), encode_png(astronaut()[:9])]
    ),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_mutated_pictures_never_crash(data: bytes, edits: list[tuple[float, int]]) -> None:
    changed = bytearray(data)
    for place, value in edits:
        changed[int(place * len(changed))] = value
    decode_or_refuse(bytes(changed))


def decode_or_refuse(data: bytes) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as outside the tests: a warning is no error
        try:
            image = decode_image(data)
        except ImageError:
            return
    assert image.dtype == np.uint8
    assert image.ndim == 3
    assert image.shape[2] == 3
    assert image.size


def test_pil_keeps_its_global_state() -> None:
    pixels, truncated = Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES
    decode_image(SMALL)
    with pytest.raises(ImageError):
        decode_image(png_header(20_000, 20_000))
    assert pixels == Image.MAX_IMAGE_PIXELS
    assert truncated == ImageFile.LOAD_TRUNCATED_IMAGES


def test_real_photo() -> None:
    with get_sample_data("grace_hopper.jpg") as stream:
        assert decode_image(stream.read()).shape == (600, 512, 3)


def test_png_is_lossless_and_jpeg_is_close() -> None:
    image = astronaut()
    np.testing.assert_array_equal(decode_image(encode_png(image)), image)
    assert np.abs(decode_image(encode_jpeg(image)).astype(int) - image).mean() < 4


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
    assert decode_image(file.read_bytes()).shape == (512, 512, 3)
