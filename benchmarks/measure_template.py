"""Measure the average training face: `TEMPLATE` and the box defaults of fer_space/alignment.py, and the 68
landmarks, jaw and nose bridge of fer_space/occlusion/average.py.

    python benchmarks/measure_template.py DATA

DATA holds `ferplus/FER2013Train.tar` and `diffusionfer/DiffusionFER.tar`. FERPlus training faces are enlarged
to 192 px and run through the default detector and landmarks; the template is the median of eyes and mouth.
The box defaults are the medians, over DiffusionFER pictures, of the aligned square (scale 1) against the
detector's box.
"""

import sys
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.alignment import CropRule, crop_face, eyes_and_mouth, invert
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.libfacedetection import LibFaceDetection
from fer_space.detectors.pipeline import find_faces
from fer_space.imaging import decode_image, resize
from fer_space.types import Face

FERPLUS_FACES = 3000
FERPLUS_SIDE = 192


def pictures(archive: Path, ending: str) -> Iterator[NDArray[np.uint8]]:
    """Yield the pictures of a tar file, uint8 (H, W, 3) RGB, in its order."""
    with tarfile.open(archive) as tar:
        for member in tar:
            stream = tar.extractfile(member)
            if member.name.endswith(ending) and stream:
                yield decode_image(stream.read())


def largest_faces(images: Iterator[NDArray[np.uint8]]) -> Iterator[tuple[NDArray[np.uint8], Face]]:
    """Yield each picture that has a face with 68 landmarks, and its largest face."""
    detector, landmarker = LibFaceDetection(), Landmarker()
    for image in images:
        faces = find_faces(image, detector, landmarker)
        if faces and faces[0].landmarks is not None and len(faces[0].landmarks) == 68:
            yield image, faces[0]


def ferplus_landmarks(archive: Path) -> NDArray[np.float64]:
    """Return the landmarks of FERPlus faces, float64 (N, 68, 2) in parts of the side."""
    enlarged = (resize(image, (FERPLUS_SIDE, FERPLUS_SIDE)) for image in pictures(archive, ".png"))
    seen = largest_faces(islice(enlarged, FERPLUS_FACES))
    points = [(face.landmarks + 0.5) / FERPLUS_SIDE for _, face in seen if face.landmarks is not None]
    print(f"FERPlus: {len(points)} faces of {FERPLUS_FACES}")
    return np.array(points, dtype=np.float64)


# Where each of the 68 landmarks lies in a mirror: jaw, brows, nose bridge, nostrils, eyes, lips.
MIRROR = [
    *range(16, -1, -1),
    *range(26, 16, -1),
    *range(27, 31),
    *range(35, 30, -1),
    *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
]


def symmetric_median(points: NDArray[np.float64], mirror: list[int]) -> NDArray[np.float64]:
    """Median over faces of points (N, P, 2), averaged with its mirror image, where P becomes mirror[P]."""
    medians = np.median(points, axis=0)
    mirrored = medians[mirror] * [-1.0, 1.0] + [1.0, 0.0]
    return np.asarray((medians + mirrored) / 2.0)


def measure_box(archive: Path) -> tuple[float, float]:
    """Return the medians of box_scale and box_shift_y that reproduce the aligned square of scale 1."""
    scales, shifts = [], []
    for image, face in largest_faces(pictures(archive, ".jpg")):
        back = invert(crop_face(image, face, CropRule(), size=64).photo_to_crop)
        left, top, right, bottom = face.box_xyxy
        side = 64.0 * float(np.sqrt(np.linalg.det(back[:, :2])))
        middle = back @ [31.5, 31.5, 1.0] + 0.5
        scales.append(side / ((right - left + bottom - top) / 2.0))
        shifts.append((middle[1] - (top + bottom) / 2.0) / side)
    print(f"DiffusionFER: {len(scales)} faces")
    return float(np.median(scales)), float(np.median(shifts))


if __name__ == "__main__":
    data = Path(sys.argv[1])
    faces = ferplus_landmarks(data / "ferplus" / "FER2013Train.tar")
    eyes = np.stack([eyes_and_mouth(face) for face in faces])
    print("TEMPLATE", symmetric_median(eyes, [1, 0, 2]).round(4).tolist())
    jaw = symmetric_median(faces[:, :17], list(range(16, -1, -1)))
    print("TEMPLATE_JAW", jaw[2:9].round(3).tolist())
    print("AVERAGE", symmetric_median(faces, MIRROR).round(3).tolist())
    print("TEMPLATE_BRIDGE", symmetric_median(faces[:, 28:30], [0, 1]).round(3).tolist())
    print("box_scale, box_shift_y", measure_box(data / "diffusionfer" / "DiffusionFER.tar"))
