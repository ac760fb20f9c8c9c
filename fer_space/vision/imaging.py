"""Pictures in and out: the one place where bytes become RGB arrays and where photos and crops are resampled.

Every picture here is uint8 (H, W, 3) RGB. Points are pixel indices: (0, 0) is the centre of the first
pixel. Training, the command line and the page all call these functions, so that a backbone sees the same
pixels everywhere.
"""

from io import BytesIO
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_space.errors import ImageError

MAX_BYTES = 25 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SIDE = 30_000  # OpenCV addresses pixels with 16 bits when it warps

# No format that runs another program (EPS) or that accepts any bytes (TGA).
_FORMATS = ("JPEG", "MPO", "PNG", "GIF", "WEBP", "AVIF", "BMP", "TIFF", "PPM", "JPEG2000")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TOO_LARGE = f"The picture is too large: the limit is {MAX_PIXELS // 1_000_000} million pixels."
_UNREADABLE = "The picture is damaged or cut short, or is none: use JPEG, PNG, WebP, GIF, BMP or TIFF."


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """Decode a picture file: upright by its EXIF tag, the first frame, on white where transparent.

    16-bit and float gray are scaled to 8 bits. Size limits are checked on the header, before any pixel
    is decoded.

    Returns:
        uint8 (H, W, 3) RGB; H and W are at least 1.

    Raises:
        ImageError: the bytes are no picture, a damaged one, or one past MAX_BYTES, MAX_PIXELS or MAX_SIDE.
            No other exception leaves this function, whatever the bytes.
    """
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise ImageError(f"The file is too large: the limit is {MAX_BYTES // 1024**2} MB.")
    try:
        return _decode(data)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError(_TOO_LARGE) from error
    except Exception as error:  # the decoders raise almost anything on hostile bytes
        raise ImageError(_UNREADABLE) from error


def _decode(data: bytes) -> NDArray[np.uint8]:
    Image.init()
    with Image.open(BytesIO(data), formats=[name for name in _FORMATS if name in Image.OPEN]) as opened:
        _check_size(*opened.size)
        opened.load()
        orientation = opened.getexif().get(_ORIENTATION_TAG)
        pixels = _to_rgb(opened)
        if orientation in _UPRIGHT:
            pixels = pixels.transpose(_UPRIGHT[orientation])
    return np.array(pixels, dtype=np.uint8)


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ImageError(_TOO_LARGE)
    if max(width, height) > MAX_SIDE:
        raise ImageError(f"The picture is too long: the limit is {MAX_SIDE} pixels a side.")


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith("I") or picture.mode == "F":
        return Image.fromarray(_to_8_bits(np.asarray(picture))).convert("RGB")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return picture.convert("RGB")


def _to_8_bits(gray: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale integer or float gray (H, W) to uint8.

    Integers lose the bits below the top eight that the picture uses: 16 bits become 8, and so do 12 bits
    stored in 16. Floats are read as [0, 1] or [0, 255] where they fit, else stretched between their ends.
    """
    if np.issubdtype(gray.dtype, np.integer):
        counts = np.maximum(gray, 0)
        return np.asarray(counts >> max(0, int(counts.max()).bit_length() - 8), dtype=np.uint8)
    values = np.nan_to_num(gray.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low < 0.0 or high > 255.0:
        values = (values - low) / (high - low)
    elif high > 1.0:
        values = values / 255.0
    return np.asarray(np.rint(values * 255.0), dtype=np.uint8)


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
