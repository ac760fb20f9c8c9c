"""Measure the average training face: eyes, mouth and box of `vision/alignment.py`, landmarks of `occlusion`.

Prints `TEMPLATE` and the box defaults of fer_space/vision/alignment.py, and the 68 landmarks, jaw and nose
bridge of fer_space/occlusion/average.py.

    python benchmarks/measure_template.py DATA [FACES]

DATA holds `ferplus/FER2013Train.tar` and `diffusionfer/DiffusionFER.tar`. FERPlus training faces are enlarged
to 192 px and run through the default detector and landmarks; the template is the median of eyes and mouth.
The box defaults are the medians, over DiffusionFER pictures, of the aligned square (scale 1) against the
detector's box. FACES is how many FERPlus pictures are looked at: `TEMPLATE` was measured on 3000 (the
default), the landmarks on 1500.
"""

import argparse
import tarfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.libfacedetection import LibFaceDetection
from fer_space.detectors.pipeline import find_faces
from fer_space.occlusion.average import MIRROR
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face, eyes_and_mouth, invert
from fer_space.vision.imaging import decode_image, resize

FERPLUS_PICTURES = 3000
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


def ferplus_landmarks(archive: Path, count: int) -> NDArray[np.float64]:
    """Return the landmarks of the first `count` FERPlus faces, float64 (N, 68, 2) in parts of the side."""
    enlarged = (resize(image, (FERPLUS_SIDE, FERPLUS_SIDE)) for image in pictures(archive, ".png"))
    seen = largest_faces(islice(enlarged, count))
    points = [(face.landmarks + 0.5) / FERPLUS_SIDE for _, face in seen if face.landmarks is not None]
    print(f"FERPlus: {len(points)} faces of {count}")
    return np.array(points, dtype=np.float64)


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


def main() -> None:
    """Measure and print what the two files hold."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("faces", type=int, nargs="?", default=FERPLUS_PICTURES, metavar="FACES")
    args = parser.parse_args()
    faces = ferplus_landmarks(args.data / "ferplus" / "FER2013Train.tar", args.faces)
    eyes = np.stack([eyes_and_mouth(face) for face in faces])
    print("TEMPLATE", symmetric_median(eyes, [1, 0, 2]).round(4).tolist())
    average = symmetric_median(faces, list(MIRROR))
    print("AVERAGE", average.round(3).tolist())
    print("TEMPLATE_JAW", average[2:9].round(3).tolist())
    print("TEMPLATE_BRIDGE", average[28:30].round(3).tolist())
    print("box_scale, box_shift_y", measure_box(args.data / "diffusionfer" / "DiffusionFER.tar"))


if __name__ == "__main__":
    main()
