"""Fit what tells whether a face wears a mask, and say how well it does: fer_space/vision/masked.safetensors.

    python benchmarks/fit_masked.py DATA [--faces 5000] [--photos 150]

DATA holds `ferplus` and `diffusionfer`. It learns from faces of both that are not in their test parts, each
as it is (some with sunglasses or a bar over the eyes, which are no masks) and with a drawn mask of any kind
and colour, turned, moved and scaled as a detector may frame it. It is measured on validation crops of FERPlus
and, through detector and landmarks, on whole photos of DiffusionFER's test part, with and without a mask that
follows the landmarks and hides half of them when the face is found again.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from fer_space.data import open_data
from fer_space.engine import Engine
from fer_space.occlusion.kinds import occlude
from fer_space.vision import masked
from fer_space.vision.alignment import CropRule, crop_face
from fer_space.vision.imaging import resize

MASKS = ("surgical", "kn95", "cloth", "scarf")
NO_MASKS = ("sunglasses", "eye_bar")
COLOURS = (
    *((168, 205, 222), (240, 240, 240), (20, 20, 24), (230, 190, 200), (60, 60, 70)),
    *((40, 60, 120), (150, 150, 150), (200, 60, 60), (225, 215, 190), (90, 120, 90)),
)
WITH_GLASSES = 0.15
DRAWN_AT = 96  # pixels
MARGIN = 60  # pixels around a photo that its face fills, for the detector

Picture = NDArray[np.uint8]
Pairs = Iterator[tuple[Picture, Picture]]


def covered(
    picture: Picture, rng: np.random.Generator, landmarks: NDArray[np.float32] | None = None
) -> Picture:
    """Draw a mask of any kind in about any colour."""
    colour = np.clip(np.array(COLOURS[rng.integers(len(COLOURS))]) + rng.integers(-15, 16, 3), 0, 255)
    red, green, blue = (int(v) for v in colour)
    return occlude(picture, str(rng.choice(MASKS)), landmarks, colour=(red, green, blue))


def framed_anew(picture: Picture, rng: np.random.Generator) -> Picture:
    """Turn, scale and move a square crop."""
    side = len(picture)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-15, 15), rng.uniform(0.72, 1.2))
    matrix[:, 2] += np.array([rng.uniform(-0.1, 0.1), rng.uniform(-0.16, 0.12)]) * side
    turned = cv2.warpAffine(picture, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
    return turned.astype(np.uint8)


def crops(data: str, split: str, count: int, rng: np.random.Generator) -> Pairs:
    """Yield faces without and with a mask, as training frames them."""
    faces = open_data(data, split)
    for i in rng.permutation(len(faces))[:count]:
        bare = resize(faces.read(int(i)), (DRAWN_AT, DRAWN_AT))
        glasses = rng.random() < WITH_GLASSES
        yield occlude(bare, str(rng.choice(NO_MASKS))) if glasses else bare, covered(bare, rng)


def found(data: str, count: int, rng: np.random.Generator) -> Pairs:
    """Yield faces without and with a mask, as detector and landmarks frame them in photos."""
    faces, engine, rule = open_data(data, "test"), Engine(device="cpu"), CropRule()
    for i in rng.permutation(len(faces))[:count]:
        photo = np.pad(faces.read(int(i)), ((MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)), mode="edge")
        bare = engine.detect(photo)
        if not bare or bare[0].all_68 is None:
            continue
        worn = covered(photo, rng, bare[0].all_68)
        again = engine.detect(worn)
        if again:
            free = crop_face(photo, bare[0], rule, masked.SIDE)
            yield free.image_rgb, crop_face(worn, again[0], rule, masked.SIDE).image_rgb


def described(
    pairs: Pairs, rng: np.random.Generator | None = None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the description of each crop, framed anew if `rng` is given, and whether it wears a mask."""
    rows, worn = [], []
    for pair in pairs:
        for crop in pair:
            seen = crop if rng is None else framed_anew(crop, rng)
            rows.append(masked.edges_and_levels(resize(seen, (masked.SIDE, masked.SIDE))))
        worn += [0, 1]
    return np.array(rows), np.array(worn)


def main() -> None:
    """Fit, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--faces", type=int, default=5000)
    parser.add_argument("--photos", type=int, default=150)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    ferplus, diffusionfer = (f"{kind}:{args.data / kind}" for kind in ("ferplus", "diffusionfer"))
    one = described(crops(ferplus, "train", args.faces, rng), rng)
    two = described(crops(diffusionfer, "valid", args.faces, rng), rng)  # its train split is all of it
    rows, worn = (np.concatenate([a, b, b]) for a, b in zip(one, two, strict=True))  # the smaller set twice
    model = LogisticRegression(C=0.03, max_iter=400).fit(rows, worn)
    for name, pairs in (
        ("FERPlus valid, crops", crops(ferplus, "valid", 2000, rng)),
        ("DiffusionFER test, found in photos", found(diffusionfer, args.photos, rng)),
    ):
        rows, worn = described(pairs)
        score = model.decision_function(rows)
        print(
            f"{name}: {len(worn) // 2} faces, AUROC {roc_auc_score(worn, score):.4f}; "
            f"taken for masked: {(score[worn == 1] > 0).mean():.1%} of those with a mask, "
            f"{(score[worn == 0] > 0).mean():.1%} of those without"
        )
    fitted = {"weight": model.coef_[0].astype(np.float32), "bias": model.intercept_[:1].astype(np.float32)}
    save_file(fitted, Path(masked.__file__).with_name("masked.safetensors"))


if __name__ == "__main__":
    main()
