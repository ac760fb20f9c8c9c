"""From the bytes of a picture file to RGB pixels, in this process.

Pillow reads nearly everything; OpenCV reads what Pillow refuses or would take too much memory for. Files of
strangers are not decoded here but in a child process that may spend little: see `fer_space.vision.pool`.
"""

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError
from pillow_heif import register_heif_opener

from fer_space.errors import ImageError

MAX_BYTES: Final = 25 * 1024 * 1024
MAX_PIXELS: Final = 40_000_000
MAX_SIDE: Final = 30_000  # OpenCV addresses pixels with 16 bits when it warps

TOO_COSTLY: Final = (
    "The picture takes too much time or memory to decode: save it anew as a plain JPEG or PNG."
)

# No format that runs another program (EPS) or that accepts any bytes (TGA). JPEG covers MPO, PNG covers APNG.
_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000")
# What people hand in that is not read, by how its bytes begin: (offset, bytes, name).
_NAMED = (
    (0, b"\xff\x0a", "JPEG XL"),
    (4, b"JXL \r\n\x87\n", "JPEG XL"),
    (0, b"%PDF", "PDF"),
    (0, b"8BPS", "Photoshop"),
    (0, b"%!PS", "PostScript"),
    (0, b"<svg", "SVG"),
    (4, b"ftypmp4", "video"),
    (4, b"ftypiso", "video"),
    (4, b"ftypqt", "video"),
    (0, b"\x1aE\xdf\xa3", "video"),
)
_READ = "JPEG, PNG, WebP, HEIC, AVIF, GIF, BMP, TIFF or JPEG 2000"
_TOO_LARGE = f"The picture is too large: the limit is {MAX_PIXELS // 1_000_000} million pixels."
UNREADABLE: Final = f"The picture is damaged or cut short, or is none: use {_READ}."

_DEPTHS = (8, 10, 12, 14, 16, 32)  # bits a channel that cameras and scanners write
_OPENJPEG_PIXELS = 12_000_000  # it takes 16 bytes a pixel, and its time
_WEBP_PIXELS = 12_000_000  # beyond, Pillow's way through three canvases takes too much memory
_STRIP = 64  # rows that are converted at a time: they stay in the processor's cache
_ORIENTATION = 0x0112
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

register_heif_opener()

Make = Callable[[tuple[int, int, int]], NDArray[np.uint8]]


def _new(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    return np.empty(shape, dtype=np.uint8)


def decode(data: bytes, make: Make = _new) -> NDArray[np.uint8]:
    """Decode a picture file to upright RGB pixels.

    Upright by its EXIF orientation where that can be read, the first frame, on white where transparent.
    More than 8 bits a channel and floats are scaled to 8 bits. A JPEG or JPEG 2000 photo of more than
    MAX_PIXELS is scaled down in the decoder, by 2, 4 or 8, where it can be.

    Args:
        data: the whole file.
        make: gives the array for the pixels, by its shape; it is called once.

    Returns:
        uint8 (H, W, 3) RGB, writeable; H and W are at least 1.

    Raises:
        ImageError: the bytes are no picture, a damaged one, or one past MAX_BYTES, MAX_PIXELS or MAX_SIDE.
            No other exception leaves this function, whatever the bytes.
    """
    check_bytes(data)
    try:
        return _to_array(_upright(_pixels(data)), make)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_LARGE) from error
    except MemoryError as error:
        raise ImageError(TOO_COSTLY) from error
    except Exception as error:  # the decoders raise almost anything on hostile bytes
        raise ImageError(_why(data)) from error


def check_bytes(data: bytes) -> None:
    """Refuse a file that is empty or larger than MAX_BYTES with an ImageError."""
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise ImageError(f"The file is too large: the limit is {MAX_BYTES // 1024**2} MB.")


def from_pil(picture: Image.Image) -> NDArray[np.uint8]:
    """Convert a Pillow picture of any mode as if it came from a file; returns uint8 (H, W, 3) RGB.

    Raises:
        ImageError: it is empty, past MAX_PIXELS or MAX_SIDE, or its file is damaged.
    """
    try:
        _check_size(*picture.size)
        if not min(picture.size):
            raise ImageError(f"The picture is empty: {picture.width} x {picture.height} pixels.")
        picture.load()
        copied = picture.copy()
        copied.getexif()[_ORIENTATION] = _orientation(picture)
        return _to_array(_upright(copied))
    except ImageError:
        raise
    except Exception as error:  # a lazily opened file is decoded only here
        raise ImageError(UNREADABLE) from error


def _pixels(data: bytes) -> Image.Image:
    """Decode the pixels as they lie, in whatever mode, with their EXIF orientation."""
    Image.init()
    try:
        opened = Image.open(BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN])
    except UnidentifiedImageError:
        if data.startswith(_TIFF_STARTS):
            return _by_opencv(data)  # colours as floats, for which Pillow has no mode
        raise
    width, height = opened.size
    _scale_down(opened)
    _check_size(*opened.size)
    large_webp = opened.format == "WEBP" and width * height > _WEBP_PIXELS
    if large_webp or _has_deep_colours(opened):
        # OpenCV itself turns TIFF upright, and TIFF alone.
        orientation = 1 if opened.format == "TIFF" else _orientation(opened)
        del opened  # and the memory that its decoder holds
        return _by_opencv(data, orientation)
    try:
        opened.load()
    except OSError:
        if width * height > MAX_PIXELS:
            raise ImageError(_TOO_LARGE) from None  # a progressive JPEG keeps all of it in memory
        if opened.format == "TIFF":
            return _by_opencv(data)  # YCbCr that is not compressed
        if opened.format in ("JPEG", "MPO"):
            return _without_its_end(data)
        raise
    return opened


def _scale_down(opened: ImageFile.ImageFile) -> None:
    """Tell a decoder that can scale by powers of two to do so until the picture is within the limits."""
    limit = _OPENJPEG_PIXELS if opened.format == "JPEG2000" else MAX_PIXELS
    width, height = opened.size
    halvings = 0
    while (width >> halvings) * (height >> halvings) > limit or max(width, height) >> halvings > MAX_SIDE:
        halvings += 1
    if halvings == 0:
        return
    if opened.format == "JPEG2000":
        opened.reduce = halvings  # type: ignore[method-assign, assignment]  # OpenJPEG skips as many levels
        _check_size(width >> halvings, height >> halvings)
        opened.load()  # its `size` is that of the whole picture until then
    else:
        opened.draft("RGB", (width >> halvings, height >> halvings))


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"The picture is too long: the limit is {MAX_SIDE} pixels a side.")


def _has_deep_colours(opened: ImageFile.ImageFile) -> bool:
    """Whether a picture has colours of more than 8 bits, of which Pillow keeps the upper 8 alone."""
    return opened.mode in ("RGB", "RGBA") and any(";16" in str(tile[3]) for tile in opened.tile)


def _by_opencv(data: bytes, orientation: int = 1) -> Image.Image:
    """Decode by OpenCV and scale to 8 bits: "L", "RGB", or "RGBA"; `orientation` is EXIF's."""
    array = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if array is None:
        raise ImageError(UNREADABLE)
    _check_size(array.shape[1], array.shape[0])
    if array.ndim == 3 and array.shape[2] == 4:
        array = np.dstack([_to_8_bits(array[:, :, :3]), _to_8_bits(array[:, :, 3])])  # each by its own depth
        cv2.cvtColor(array, cv2.COLOR_BGRA2RGBA, dst=array)
    else:
        array = _to_8_bits(array)
        if array.ndim == 3:
            cv2.cvtColor(array, cv2.COLOR_BGR2RGB, dst=array)  # in place: a second copy is memory
    pixels = Image.fromarray(array)
    pixels.getexif()[_ORIENTATION] = orientation
    return pixels


def _without_its_end(data: bytes) -> Image.Image:
    """Decode a JPEG that lacks nothing but the marker at its end.

    Pixels that are all there come out alike whatever follows them; missing ones would be made of it.
    """
    one, other = (_with_end(data, filling) for filling in (b"\x00", b"\x55"))
    if one.tobytes() != other.tobytes():
        raise ImageError(UNREADABLE)
    return one


def _with_end(data: bytes, filling: bytes) -> Image.Image:
    opened = Image.open(BytesIO(data + 64 * filling + b"\xff\xd9"), formats=["JPEG"])
    _scale_down(opened)
    opened.load()
    return opened


def _orientation(opened: Image.Image) -> int:
    """Return EXIF's orientation, 1 (as it lies) where there is none or the EXIF block is broken."""
    with suppress(Exception):
        return int(opened.getexif()[_ORIENTATION])
    return 1


def _upright(pixels: Image.Image) -> Image.Image:
    """Turn pixels as EXIF says; where the EXIF block is broken, they stay as they lie."""
    with suppress(Exception):
        ImageOps.exif_transpose(pixels, in_place=True)
    return pixels


def _to_array(picture: Image.Image, make: Make = _new) -> NDArray[np.uint8]:
    """Convert a picture of any mode to uint8 (H, W, 3), strip by strip.

    That takes a third of the time of one piece, and no memory for a second copy.
    """
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_to_8_bits(np.asarray(picture)))  # scaled by all of its values
    width, height = picture.size
    array = make((height, width, 3))
    for top in range(0, height, _STRIP):
        strip = picture.crop((0, top, width, min(top + _STRIP, height)))
        array[top : top + _STRIP] = np.asarray(_rgb(strip))
    return array


def _rgb(picture: Image.Image) -> Image.Image:
    """Convert a picture of 8 bits a channel to "RGB", on white where it is transparent."""
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGB", rgba.size, "white")
        white.paste(rgba, mask=rgba)
        return white
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _to_8_bits(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale integer or float values of any shape to uint8.

    Integers are read with the fewest bits of `_DEPTHS` that hold the largest: 16 bits become 8, and so do
    12 bits stored in 16. Floats are read as [0, 1] or [0, 255] where they fit, else stretched between their
    ends.
    """
    if values.dtype == np.uint8:
        return np.asarray(values, dtype=np.uint8)
    if np.issubdtype(values.dtype, np.integer):
        used = int(values.max()).bit_length()
        surplus = min(bits for bits in _DEPTHS if bits >= used) - 8
        scaled = np.empty(values.shape, dtype=np.uint8)
        for row, counts in zip(scaled, values, strict=True):  # one by one: whole copies are memory
            row[...] = np.maximum(counts, 0) >> surplus
        return scaled
    numbers = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low < 0.0 or high > 255.0:
        numbers = (numbers - low) / (high - low)
    elif high > 1.0:
        numbers = numbers / 255.0
    return np.asarray(np.rint(numbers * 255.0), dtype=np.uint8)


def _why(data: bytes) -> str:
    """Say why bytes cannot be read: by the name of their kind where it is a known one."""
    head = data[:256].lstrip()
    for offset, start, name in _NAMED:
        if head[offset : offset + len(start)] == start:
            return f"{name} files are not read here: use {_READ}."
    return UNREADABLE
