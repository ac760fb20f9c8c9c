"""What the engine returns: frozen dataclasses that check themselves.

Arrays inside are never written to after construction. Pictures are RGB uint8 (H, W, 3); points and
boxes are pixels of the original picture, x to the right and y down, origin at the top-left corner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fer_space.emotions import EMOTIONS

VASource = Literal["head", "circumplex"]


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face.

    Attributes:
        box_xyxy: left, top, right, bottom in pixels of the picture; may reach past its edges.
        score: the detector's confidence in [0, 1].
        landmarks: float32 (68, 2) in iBUG order, or (5, 2) as left eye, right eye, nose, left and
            right mouth corner (left as seen in the picture), or None where nothing found them.
        doubts: what makes it unlike the faces that models learned from, a few words each, as
            `fer_space.vision.quality` measures it; () for a good face, or one that was not looked at.
    """

    box_xyxy: tuple[float, float, float, float]
    score: float
    landmarks: NDArray[np.float32] | None = None
    doubts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box_xyxy
        if not (np.isfinite(self.box_xyxy).all() and right > left and bottom > top):
            raise ValueError(f"box_xyxy must have left < right and top < bottom: {self.box_xyxy}")
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score must lie in [0, 1]: {self.score}")
        if self.landmarks is not None and self.landmarks.shape not in ((68, 2), (5, 2)):
            raise ValueError(f"landmarks must be (68, 2) or (5, 2): {self.landmarks.shape}")

    @property
    def area(self) -> float:
        """Of its box, in square pixels."""
        left, top, right, bottom = self.box_xyxy
        return (right - left) * (bottom - top)

    def overlap(self, other: "Face") -> float:
        """Intersection over union of the boxes of two faces of one size of picture, in [0, 1]."""
        left, top = (max(pair) for pair in zip(self.box_xyxy[:2], other.box_xyxy[:2], strict=True))
        right, bottom = (min(pair) for pair in zip(self.box_xyxy[2:], other.box_xyxy[2:], strict=True))
        shared = max(0.0, right - left) * max(0.0, bottom - top)
        return shared / (self.area + other.area - shared)

    @property
    def all_68(self) -> NDArray[np.float32] | None:
        """The landmarks where all 68 are known, float32 (68, 2), else None."""
        return self.landmarks if self.landmarks is not None and len(self.landmarks) == 68 else None


@dataclass(frozen=True, eq=False)
class FaceCrop:
    """An upright square cut around one face.

    Attributes:
        image_rgb: uint8 (S, S, 3).
        photo_to_crop: float64 (2, 3); maps a point [x, y, 1] of the photo to the crop. Its inverse
            draws maps back on the photo.
    """

    image_rgb: NDArray[np.uint8]
    photo_to_crop: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.image_rgb.ndim != 3 or self.image_rgb.shape[0] != self.image_rgb.shape[1]:
            raise ValueError(f"a crop must be (S, S, 3): {self.image_rgb.shape}")
        if self.photo_to_crop.shape != (2, 3):
            raise ValueError(f"photo_to_crop must be (2, 3): {self.photo_to_crop.shape}")


@dataclass(frozen=True)
class Prediction:
    """One backbone's answer for one face.

    Attributes:
        backbone: its name in the registry.
        probabilities: calibrated probability by emotion, in the order of `EMOTIONS`, summing to 1.
            An emotion that the backbone does not have is absent, not 0.
        valence, arousal: both in [-1, 1].
        va_source: "head" when a trained head predicted them, "circumplex" when they are derived
            from the probabilities.
        ms: milliseconds spent on this face (its share of the batch).
        runtime: what computed the network, "torch" or "openvino".
    """

    backbone: str
    probabilities: Mapping[str, float]
    valence: float
    arousal: float
    va_source: VASource
    ms: float
    runtime: str = "torch"

    def __post_init__(self) -> None:
        names = tuple(self.probabilities)
        if not names or names != tuple(e for e in EMOTIONS if e in self.probabilities):
            raise ValueError(f"probabilities must be emotions in canonical order: {names}")
        if abs(sum(self.probabilities.values()) - 1.0) > 1e-3:
            raise ValueError(f"probabilities must sum to 1: {dict(self.probabilities)}")
        if not (abs(self.valence) <= 1.0 and abs(self.arousal) <= 1.0):
            raise ValueError(f"valence and arousal lie in [-1, 1]: {self.valence}, {self.arousal}")

    @property
    def label(self) -> str:
        """The most probable emotion."""
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def confidence(self) -> float:
        """The probability of `label`."""
        return self.probabilities[self.label]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Where a backbone looked for one emotion.

    Attributes:
        heatmap: float32 (H, W) in [0, 1], covering the whole crop whatever its H and W.
        target: the emotion that it explains.
        method: "hirescam" and so on.
    """

    heatmap: NDArray[np.float32]
    target: str
    method: str

    def __post_init__(self) -> None:
        if self.heatmap.ndim != 2 or self.heatmap.dtype != np.float32:
            raise ValueError("a heatmap is float32 (H, W)")
        if self.heatmap.size and not (self.heatmap.min() >= 0.0 and self.heatmap.max() <= 1.0):
            raise ValueError("a heatmap lies in [0, 1]")


@dataclass(frozen=True, eq=False)
class Reading:
    """Everything one backbone says of one face: its answer, its maps, and the crop that it saw."""

    prediction: Prediction
    explanations: Mapping[str, Explanation]
    crop: FaceCrop
