"""InsightFace's SCRFD detector (Guo et al. 2021, "Sample and Computation Redistribution"), opt-in.

Nothing is downloaded here: `fer-space fetch insightface` is for that. The models are for non-commercial
research only.
"""

import os
from pathlib import Path
from threading import Lock
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.errors import MissingDependencyError
from fer_space.runtime.onnx import CUDA, providers
from fer_space.types import Face

PACK = "buffalo_l"
FOLDER_VARIABLE = "FER_SPACE_INSIGHTFACE"
WORKING_SIZE = (640, 640)
MIN_SCORE = 0.5

_INSTALL = "InsightFace is not installed: requirements-insightface.txt holds the two commands."


class InsightFaceScrfd:
    """Detector with boxes and five landmarks, from a model pack in a local folder."""

    sure = 0.6  # a turned face costs four passes of a large network, so only doubtful ones are looked at
    fair = 0.65

    def __init__(self, folder: Path | None = None) -> None:
        """Load the pack.

        Args:
            folder: holds the pack's .onnx files; without it the folder that FER_SPACE_INSIGHTFACE names,
                or the place where InsightFace itself keeps PACK.

        Raises:
            MissingDependencyError: InsightFace is not installed, or the folder holds no detection model.
        """
        self._model = _load(folder or pack_folder())
        self._lock = Lock()

    def detect(self, image_rgb: NDArray[np.uint8]) -> list[Face]:
        """Return the faces of uint8 (H, W, 3) RGB whose score is MIN_SCORE or more."""
        if min(image_rgb.shape[:2]) * WORKING_SIZE[0] < max(image_rgb.shape[:2]):
            return []  # fitted into the network's square, its short side would be less than a pixel
        with self._lock:  # it caches its anchors between calls
            boxes, points = self._model.detect(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        return [
            Face(
                box_xyxy=(float(box[0]), float(box[1]), float(box[2]), float(box[3])),
                score=float(np.clip(box[4], 0.0, 1.0)),
                landmarks=None if points is None else points[index].astype(np.float32),
            )
            for index, box in enumerate(boxes)
            if box[2] > box[0] and box[3] > box[1]
        ]


def pack_folder() -> Path:
    """Return the folder in which the pack is looked for."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else Path.home() / ".insightface" / "models" / PACK


def _load(folder: Path) -> Any:
    # InsightFace downloads what it misses, without a time limit: look before it does.
    if not any(folder.glob("*.onnx")):
        raise MissingDependencyError(
            f"The folder “{folder}” holds no InsightFace models: run `fer-space fetch insightface`,"
            f" or set {FOLDER_VARIABLE} to a folder that does."
        )
    try:
        from insightface.app import FaceAnalysis

        where = providers()
    except ModuleNotFoundError as error:
        raise MissingDependencyError(_INSTALL) from error
    try:
        pack = FaceAnalysis(name=str(folder.resolve()), allowed_modules=["detection"], providers=where)
    except AssertionError as error:
        raise MissingDependencyError(f"None of the models in “{folder}” is a detector.") from error
    pack.prepare(ctx_id=0 if CUDA in where else -1, det_thresh=MIN_SCORE, det_size=WORKING_SIZE)
    return pack.det_model
