"""Pictures in and out: the one place where files become RGB arrays and where photos and crops are resampled.

Every picture here is uint8 (H, W, 3) RGB. Points are pixel indices: (0, 0) is the centre of the first
pixel. Training, the command line and the page all call these functions, so that a backbone sees the same
pixels everywhere.
"""

import os
from io import BytesIO
from math import sqrt
from pathlib import Path
from stat import S_ISREG
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_space.errors import ImageError, SourceError
from fer_space.vision import pool
from fer_space.vision.decoding import MAX_BYTES, MAX_PIXELS, MAX_SIDE, decode, from_pil

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_SIDE",
    "as_image",
    "blend",
    "decode_image",
    "encode_png",
    "load_image",
    "pad",
    "read_file",
    "resize",
    "scaling",
    "shrink",
    "warp",
]

_WANTED = "a picture is wanted as uint8 (height, width, 3) in RGB"


def load_image(source: Any) -> NDArray[np.uint8]:
    """Turn a path, bytes, Pillow picture or array into RGB pixels.

        image_rgb = load_image("photo.heic")

    Args:
        source: the path of a picture file (str or os.PathLike), its bytes, or what `as_image` takes. A str is
            a path, never a URL.

    Returns:
        uint8 (H, W, 3) RGB, upright. A photo of more than MAX_PIXELS is scaled down where its format can.

    Raises:
        ImageError: it is none of these, cannot be decoded, or is past the limits; one sentence says why.
        SourceError: the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        if isinstance(source, str) and "://" in source[:12]:
            raise ImageError(
                f"“{source}” is a URL, and a file is wanted here: fer_space.sources fetches URLs."
            )
        return decode_image(read_file(Path(source)))
    if isinstance(source, bytes | bytearray | memoryview):
        return decode_image(bytes(source))
    return as_image(source)


def as_image(array: Any) -> NDArray[np.uint8]:
    """Check an array and turn it into RGB pixels, or refuse it.

    Taken is what can only mean one thing: uint8 with values 0 to 255, or floats from 0 to 1; RGB (H, W, 3),
    gray (H, W) or (H, W, 1), or RGBA (H, W, 4), which is put on white. Tensors are taken as uint8 alone, and
    Pillow pictures of any mode.

    Args:
        array: a numpy array, or something that turns into one, such as a torch tensor on the CPU, or a
            `PIL.Image.Image`.

    Returns:
        uint8 (H, W, 3) RGB in C order; `array` itself where it is that already.

    Raises:
        ImageError: it is anything else; one sentence says what came and what is wanted.
    """
    if isinstance(array, Image.Image):
        return from_pil(array)
    values = _as_array(array)
    shape, came = values.shape, f"this is {values.dtype} {values.shape}"
    if values.size == 0:
        raise ImageError(f"The picture is empty: {came}.")
    if values.ndim == 3 and shape[0] in (1, 3, 4) and shape[2] not in (1, 3, 4):
        raise ImageError(
            f"The channels come first: {came}, and {_WANTED}; np.moveaxis(array, 0, -1) turns it."
        )
    if values.ndim not in (2, 3) or (values.ndim == 3 and shape[2] not in (1, 3, 4)):
        raise ImageError(f"An array of this shape is no picture: {came}, and {_WANTED}.")
    if max(shape[:2]) > MAX_SIDE:
        raise ImageError(f"The picture is too long: the limit is {MAX_SIDE} pixels a side, and {came}.")
    pixels = _as_uint8(values, came)
    if values.ndim == 2 or shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*shape[:2], 1), 3, axis=2)
    elif shape[2] == 4:
        pixels = from_pil(Image.fromarray(np.ascontiguousarray(pixels)))
    return np.ascontiguousarray(pixels)


def _as_array(array: Any) -> NDArray[Any]:
    if isinstance(array, np.ndarray):
        return array
    kind = f"{type(array).__module__}.{type(array).__qualname__}".removeprefix("builtins.")
    if not hasattr(array, "__array__"):
        hint = " (cv2.imread answers None where it cannot read a file)" if array is None else ""
        if isinstance(array, str | bytes | os.PathLike):
            hint = " (fer_space.load_image reads files)"
        raise ImageError(f"This is no picture but {kind}{hint}: {_WANTED}.")
    try:
        values = np.asarray(array)
    except Exception as error:  # a tensor on a GPU or one with a gradient, each library with its own error
        raise ImageError(f"A {kind} that does not turn into an array came, and {_WANTED}.") from error
    if values.dtype != np.uint8:
        raise ImageError(f"A {kind} of {values.dtype} {values.shape} came, and {_WANTED}.")
    return values


def _as_uint8(values: NDArray[Any], came: str) -> NDArray[np.uint8]:
    """Values of any allowed type -> uint8, 0 to 255."""
    if values.dtype == np.uint8:
        return values
    if not np.issubdtype(values.dtype, np.floating):
        raise ImageError(f"Values of this type are not read as colours: {came}, and {_WANTED}.")
    low, high = float(values.min()), float(values.max())
    if not (np.isfinite(low) and np.isfinite(high)):  # either is NaN where any value is
        raise ImageError(f"The picture has values that are not finite: {came}, and {_WANTED}.")
    if low < 0.0 or high > 1.0:
        raise ImageError(f"Floats are read from 0 to 1: {came} from {low:g} to {high:g}, and {_WANTED}.")
    return np.asarray(np.rint(values * 255.0), dtype=np.uint8)


def decode_image(data: bytes, *, trusted: bool = False) -> NDArray[np.uint8]:
    """Decode a picture file in a child process of little time and memory.

    Args:
        data: the whole file.
        trusted: decode in this process, without those limits: for a data set of one's own, not for uploads.

    Returns:
        uint8 (H, W, 3) RGB, writeable, as `fer_space.vision.decoding.decode` describes it.

    Raises:
        ImageError: the bytes are no picture, a damaged one, or one past the limits.
    """
    return decode(data) if trusted else pool.decode_apart(data)


def read_file(path: Path) -> bytes:
    """Read a picture file of at most MAX_BYTES.

    Raises:
        SourceError: it is not there, is no file (a folder, a pipe, a device), too large, or cannot be read.
    """
    try:
        status = path.stat()
        if not S_ISREG(status.st_mode):
            raise SourceError(f"“{path}” is not a file.")
        if status.st_size > MAX_BYTES:
            raise SourceError(f"“{path}” is too large: the limit is {MAX_BYTES // 1024**2} MB.")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)  # one that grew meanwhile is refused by the decoder
    except FileNotFoundError as error:
        raise SourceError(f"There is no file “{path}”.") from error
    except OSError as error:
        raise SourceError(f"“{path}” cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # a null character in the name
        raise SourceError(f"“{path!r}” is not the name of a file.") from error


def encode_png(image_rgb: NDArray[np.uint8]) -> bytes:
    """Encode uint8 (H, W, 3) RGB as PNG."""
    buffer = BytesIO()
    Image.fromarray(image_rgb).save(buffer, "PNG")
    return buffer.getvalue()


def resize(image_rgb: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Resize uint8 (H, W, 3) to `size_hw`: by area where the picture shrinks, bilinear where it grows."""
    height, width = size_hw
    shrinks = height * width < image_rgb.shape[0] * image_rgb.shape[1]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image_rgb, (width, height), interpolation=method), dtype=np.uint8)


def shrink(image_rgb: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """Scale uint8 (H, W, 3) down so that no side is longer than `longest` pixels; a smaller one stays."""
    height, width = image_rgb.shape[:2]
    factor = longest / max(height, width)
    if factor >= 1.0:
        return image_rgb
    return resize(image_rgb, (max(1, round(height * factor)), max(1, round(width * factor))))


def blend(
    image_rgb: NDArray[np.uint8],
    colours_rgb: NDArray[np.uint8] | NDArray[np.float32],
    alpha: NDArray[np.floating[Any]],
) -> NDArray[np.uint8]:
    """Lay colours over a picture.

    Args:
        image_rgb: uint8 (H, W, 3), the picture below.
        colours_rgb: uint8 or float32 (H, W, 3), or one colour (3,), 0 to 255.
        alpha: float (H, W) in [0, 1], the share of the colours at each pixel.

    Returns:
        uint8 (H, W, 3).
    """
    below = image_rgb.astype(np.float32)
    mixed = below + (colours_rgb - below) * alpha[..., None].astype(np.float32)
    return np.rint(mixed).astype(np.uint8)


def pad(image_rgb: NDArray[np.uint8], margin: int) -> NDArray[np.uint8]:
    """Add `margin` pixels on every side of uint8 (H, W, 3), repeating the edge pixels."""
    padded = cv2.copyMakeBorder(image_rgb, margin, margin, margin, margin, cv2.BORDER_REPLICATE)
    return np.asarray(padded, dtype=np.uint8)


def warp(image_rgb: NDArray[np.uint8], matrix: NDArray[np.float64], size: int) -> NDArray[np.uint8]:
    """Draw a picture through a similarity transform into a square, without aliasing.

    A picture that shrinks is first reduced by area to the final scale, only where the square falls on it.
    Beyond the picture its edge pixels repeat: a black wedge would be an edge that no training face has.

    Args:
        image_rgb: uint8 (H, W, 3).
        matrix: float64 (2, 3), maps points [x, y, 1] of the picture to the square.
        size: side of the square in pixels.

    Returns:
        uint8 (size, size, 3) RGB.
    """
    left, top, right, bottom = _footprint(matrix, size, image_rgb.shape[0], image_rgb.shape[1])
    region = np.ascontiguousarray(image_rgb[top:bottom, left:right])
    to_region = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]])
    height, width = region.shape[:2]
    scale = min(1.0, sqrt(abs(float(np.linalg.det(matrix[:, :2])))))
    if scale < 1.0:
        region = resize(region, (max(1, round(height * scale)), max(1, round(width * scale))))
        to_region = to_region @ scaling(width / region.shape[1], height / region.shape[0])
    drawn = cv2.warpAffine(
        region, matrix @ to_region, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(drawn, dtype=np.uint8)


def scaling(factor_x: float, factor_y: float) -> NDArray[np.float64]:
    """Return the (3, 3) matrix that scales pixel indices about the outer corner of the first pixel."""
    return np.array(
        [[factor_x, 0.0, (factor_x - 1.0) / 2.0], [0.0, factor_y, (factor_y - 1.0) / 2.0], [0.0, 0.0, 1.0]]
    )


def _footprint(matrix: NDArray[np.float64], size: int, height: int, width: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom (exclusive) of the part of a picture that a warp reads."""
    back = np.linalg.inv(np.vstack([matrix, [0.0, 0.0, 1.0]]))
    corners = back @ np.array([[0, size, 0, size], [0, 0, size, size], [1, 1, 1, 1]], dtype=np.float64)
    spread = 2.0 + np.abs(back[:2, :2]).max() * 2.0  # room for the filters at the edges
    (left, top), (right, bottom) = corners[:2].min(1) - spread, corners[:2].max(1) + spread
    left, top = int(np.clip(left, 0, width - 1)), int(np.clip(top, 0, height - 1))
    return left, top, int(np.clip(right, left + 1, width)), int(np.clip(bottom, top + 1, height))
