"""Every face detector, by name. Listing the names imports none of them."""

from dataclasses import dataclass
from pkgutil import resolve_name
from typing import TYPE_CHECKING

from fer_space.errors import UnknownNameError

if TYPE_CHECKING:
    from fer_space.detectors.base import Detector

DEFAULT_DETECTOR = "libfacedetection"


@dataclass(frozen=True)
class DetectorSpec:
    """One face detector.

    Attributes:
        name: key in `DETECTORS`.
        title: how the page writes it.
        target: "module:class"; the class takes no required argument.
        licence: licence of code and weights, in a few words.
        opt_in: what has to be installed first, or "" when the requirements bring it.
    """

    name: str
    title: str
    target: str
    licence: str
    opt_in: str = ""

    def build(self) -> "Detector":
        """Load the detector. Raises MissingDependencyError with the remedy when it is opt-in."""
        detector: Detector = resolve_name(self.target)()
        return detector


DETECTORS: dict[str, DetectorSpec] = {
    spec.name: spec
    for spec in (
        DetectorSpec(
            name="libfacedetection",
            title="libfacedetection",
            target="fer_space.detectors.libfacedetection:LibFaceDetection",
            licence="BSD-3-Clause",
        ),
        DetectorSpec(
            name="dlib",
            title="dlib HOG",
            target="fer_space.detectors.dlib_hog:DlibHog",
            licence="Boost Software License",
        ),
        DetectorSpec(
            name="insightface",
            title="InsightFace SCRFD",
            target="fer_space.detectors.insightface_scrfd:InsightFaceScrfd",
            licence="code MIT; models for non-commercial research only",
            opt_in="requirements-insightface.txt",
        ),
    )
}


def detector_spec(name: str) -> DetectorSpec:
    """Look up a detector; raises UnknownNameError with the names that exist."""
    if name not in DETECTORS:
        raise UnknownNameError.of("detector", name, DETECTORS)
    return DETECTORS[name]
