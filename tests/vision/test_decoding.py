"""Decoding of good, odd and damaged files, in this process and in a child."""

import struct
import warnings
import zlib
from collections.abc import Callable
from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matplotlib.cbook import get_sample_data
from PIL import Image, ImageFile
from skimage.data import astronaut

from fer_space.errors import ImageError
from fer_space.vision import decoding
from fer_space.vision.imaging import decode_image, encode_png, resize

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
    "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>', "SVG files are not read"),
    "JPEG XL": (b"\xff\x0a" + bytes(30), "JPEG XL files are not read here: use JPEG, PNG"),
    "boxed JPEG XL": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(30), "JPEG XL files are not read"),
    "video": (b"\0\0\0\x20ftypmp42" + bytes(30), "video files are not read"),
    "too many bytes": (bytes(decoding.MAX_BYTES + 1), "limit is 25 MB"),
    "EPS": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PostScript files are not read"),
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


@pytest.mark.parametrize("trusted", [True, False], ids=["here", "apart"])
@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, trusted: bool) -> None:
    data, sentence = REFUSED[name]
    with pytest.raises(ImageError, match=sentence) as caught:
        decode_image(data, trusted=trusted)
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize("trusted", [True, False], ids=["here", "apart"])
@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str, trusted: bool) -> None:
    data, pixels = ACCEPTED[name]
    image = decode_image(data, trusted=trusted)
    assert image.dtype == np.uint8
    assert image.flags.writeable
    np.testing.assert_array_equal(image, pixels)


def test_cmyk_is_red() -> None:
    red, green, blue = decode_image(cmyk())[0, 0]
    assert red > 200 > 60 > max(green, blue)


def test_animated_gif_gives_its_first_frame() -> None:
    np.testing.assert_array_equal(decode_image(gif_of_two_frames())[1, 1], (255, 0, 0))


AS_SHOT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "TIFF", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int, file_format: str) -> None:
    """Undoing the camera's turn gives the upright picture back."""
    upright = Image.fromarray(resize(astronaut(), (40, 24)))
    undo = AS_SHOT.get(orientation)
    exif = Image.Exif()
    exif[0x0112] = orientation
    as_shot = upright if undo is None else upright.transpose(undo)
    image = decode_image(saved(as_shot, file_format, exif=exif.tobytes()))
    assert image.shape == (40, 24, 3)
    assert np.abs(image.astype(int) - np.asarray(upright)).mean() < 16


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_exif_orientation_where_opencv_reads(file_format: str) -> None:
    deep = np.zeros((2, 3, 3), np.uint16)
    deep[0, 0] = 65535  # the camera's top left corner is the top right one when it lay on its left side
    ok, encoded = cv2.imencode("." + file_format.lower(), deep)
    assert ok
    data = encoded.tobytes()
    if file_format == "PNG":
        exif = Image.Exif()
        exif[0x0112] = 6
        data = with_chunk(data, b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0"))
    else:
        data = tiff_of(deep, extratags=[(0x0112, "H", 1, 6, True)])
    image = decode_image(data)
    assert image.shape == (3, 2, 3)
    assert [*np.argwhere(image[..., 0] == 255)[0]] == [0, 1]


RUBBISH = np.random.default_rng(5).bytes(300)
BROKEN_EXIF = {
    "zeros": b"Exif\0\0" + bytes(200),
    "rubbish": b"Exif\0\0" + RUBBISH,
    "no header": RUBBISH,
    "cut off": b"Exif\0\0II*\0\x08\0\0\0\x05\0\x12\x01\x03\0",
    "far away": b"Exif\0\0II*\0\xff\xff\xff\x7f" + bytes(40),
    "orientation 99": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x63\0\0\0\0\0\0\0",
    "orientation in words": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0six\0\0\0\0\0",
    "circle": b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0",
}


@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "AVIF"])
@pytest.mark.parametrize("kind", BROKEN_EXIF)
def test_broken_exif_leaves_the_picture_as_it_lies(file_format: str, kind: str) -> None:
    block = BROKEN_EXIF[kind]
    picture = Image.new("RGB", (6, 4), (200, 30, 40))
    if file_format == "AVIF":
        block = block.removeprefix(b"Exif\0\0")
    if file_format == "PNG":
        data = with_chunk(saved(picture, "PNG"), b"eXIf", block.removeprefix(b"Exif\0\0"))
    elif file_format == "JPEG":
        data = saved(picture, "JPEG")
        segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        data = data[:2] + segment + data[2:]
    else:
        try:
            data = saved(picture, file_format, exif=block)
        except Exception:
            pytest.skip("the encoder refuses to write it")
    assert decode_image(data).shape == (4, 6, 3)


def with_chunk(png: bytes, name: bytes, content: bytes) -> bytes:
    """A PNG with one more chunk, behind its header."""
    chunk = struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return png[:33] + chunk + png[33:]


def tiff_of(pixels: np.ndarray, **options: object) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, pixels, **{"photometric": "rgb", **options})
    return buffer.getvalue()


RAMP = np.repeat(np.arange(0, 256, 15, dtype=np.uint8)[None, :, None], 3, axis=2)  # (1, 18, 3)


def png_of(pixels: np.ndarray) -> bytes:
    ok, encoded = cv2.imencode(".png", pixels)
    assert ok
    return encoded.tobytes()


ODD = {
    "12-bit colour in 16 bits, PNG": lambda: png_of(RAMP.astype(np.uint16) * 16 + 15),
    "16-bit colour, PNG": lambda: png_of(RAMP.astype(np.uint16) * 257),
    "10-bit colour, TIFF": lambda: tiff_of(RAMP.astype(np.uint16) * 4 + 3),
    "16-bit colour, TIFF": lambda: tiff_of(RAMP.astype(np.uint16) * 257),
    "float colour, TIFF": lambda: tiff_of(RAMP / np.float32(255)),
    "double colour, TIFF": lambda: tiff_of(RAMP / 255),
    "double gray, TIFF": lambda: tiff_of(RAMP[..., 0] / 255, photometric="minisblack"),
    "planes, TIFF": lambda: tiff_of(np.moveaxis(RAMP, 2, 0).copy(), planarconfig="separate"),
    "YCbCr, TIFF": lambda: saved(Image.fromarray(RAMP).convert("YCbCr"), "TIFF"),
    "YCbCr and LZW, TIFF": lambda: saved(
        Image.fromarray(RAMP).convert("YCbCr"), "TIFF", compression="tiff_lzw"
    ),
    "JPEG 2000": lambda: saved(Image.fromarray(RAMP), "JPEG2000"),
    "HEIC": lambda: saved(Image.fromarray(np.tile(RAMP, (18, 1, 1))), "HEIF", quality=95),
    "AVIF": lambda: saved(Image.fromarray(np.tile(RAMP, (18, 1, 1))), "AVIF", quality=95),
    "MPO": lambda: saved(
        Image.fromarray(np.tile(RAMP, (18, 1, 1))),
        "MPO",
        save_all=True,
        append_images=[Image.new("RGB", (18, 18))],
        quality=95,
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_odd_kinds_come_out_right(kind: str) -> None:
    image = decode_image(ODD[kind]())
    assert np.abs(image[0].astype(int) - RAMP[0]).max() <= (6 if kind in ("HEIC", "AVIF", "MPO") else 2)


def test_deep_colours_with_alpha_lie_on_white() -> None:
    deep = np.array([[[0, 0, 4095, 4095], [0, 0, 4095, 0]]], np.uint16)  # BGRA
    np.testing.assert_array_equal(decode_image(png_of(deep)), [[[255, 0, 0], [255, 255, 255]]])


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_a_jpeg_without_its_last_two_bytes_is_read(options: dict[str, bool]) -> None:
    whole = saved(Image.fromarray(resize(astronaut(), (90, 123))), "JPEG", **options)
    assert whole.endswith(b"\xff\xd9")
    np.testing.assert_array_equal(decode_image(whole[:-2]), decode_image(whole))
    with pytest.raises(ImageError, match="cut short"):
        decode_image(whole[:-40])


@pytest.mark.parametrize(
    ("make", "size_hw"),
    [
        pytest.param(lambda: saved(Image.new("L", (8000, 6000)), "JPEG"), (3000, 4000), id="48 MP"),
        pytest.param(lambda: saved(Image.new("L", (16384, 12288)), "JPEG"), (3072, 4096), id="201 MP"),
        pytest.param(lambda: saved(Image.new("L", (40000, 60)), "JPEG"), (30, 20000), id="long"),
        pytest.param(lambda: saved(Image.new("L", (5000, 4000)), "JPEG2000"), (2000, 2500), id="JPEG 2000"),
    ],
)
def test_large_photos_are_scaled_down_in_the_decoder(
    make: Callable[[], bytes], size_hw: tuple[int, int]
) -> None:
    assert decode_image(make()).shape == (*size_hw, 3)


def test_every_cut_of_a_jpeg_is_refused() -> None:
    for end in range(0, len(SMALL) - 9, 7):
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
