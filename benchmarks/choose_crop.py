"""Which framing of a photo's face does a backbone read best? Measured, not guessed.

    python benchmarks/choose_crop.py NAME diffusionfer:DIR [--record]

Runs detection over the validation half, on each picture as it is and turned by up to 25 degrees, because
people tilt their heads and cameras. Crops, reads and scores every face by many rules, and prints one JSON
line a rule, the best by balanced accuracy last. With --record it goes into the backbone's card. The test
half is not touched.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

import cv2
import numpy as np
from numpy.typing import NDArray

from fer_space.card import write_card
from fer_space.data import open_data
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.engine import Engine
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.model import Model
from fer_space.types import Face
from fer_space.vision.alignment import CropRule, crop_face

RULES = [
    *(CropRule(scale=scale) for scale in (0.9, 1.0, 1.1, 1.2, 1.3)),
    *(CropRule(scale=scale, shift_y=shift) for scale in (1.0, 1.1) for shift in (-0.04, 0.04)),
    *(CropRule(align=False, box_scale=scale) for scale in (1.0, 1.12, 1.25)),
]

TILT = 25.0  # degrees

Seen = tuple[NDArray[np.uint8], Face]


def score_rule(
    model: Model, rule: CropRule, seen: Sequence[Seen], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Score one rule on the faces that were found: accuracy and balanced accuracy."""
    crops = [crop_face(picture, face, rule, model.card.crop_size).image_rgb for picture, face in seen]
    probabilities = model.predict(crops).probabilities
    return {
        "accuracy": round(accuracy(probabilities, labels), 4),
        "balanced_accuracy": round(balanced_accuracy(probabilities, labels), 4),
    }


def turned(picture: NDArray[np.uint8], degrees: float) -> NDArray[np.uint8]:
    """Turn a picture uint8 (H, W, 3) about its centre, its border repeated outwards."""
    height, width = picture.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return np.asarray(
        cv2.warpAffine(picture, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), dtype=np.uint8
    )


def main() -> None:
    """Measure every rule and print them, the best last."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backbone")
    parser.add_argument("data", metavar="KIND:PATH")
    parser.add_argument("--record", action="store_true", help="write the best rule into the card")
    args = parser.parse_args()
    engine, faces = Engine(), open_data(args.data, "valid")
    model = engine.model(args.backbone)
    upright = [faces.read(i) for i in range(len(faces))]
    angles = np.random.default_rng(0).uniform(-TILT, TILT, len(faces))
    tilted = [turned(picture, angle) for picture, angle in zip(upright, angles, strict=True)]
    pictures = upright + tilted
    found = [engine.detect(picture, detector=DEFAULT_DETECTOR)[:1] for picture in pictures]
    seen = [(picture, face[0]) for picture, face in zip(pictures, found, strict=True) if face]
    labels = np.concatenate([faces.labels] * 2)[[bool(face) for face in found]]
    rows = [(score_rule(model, rule, seen, labels), rule) for rule in RULES]
    rows.sort(key=lambda row: row[0]["balanced_accuracy"])
    for scores, rule in rows:
        print(json.dumps({"faces": len(seen), **scores, **asdict(rule)}))
    if args.record:
        chosen = model.card.model_copy(update={"crop": rows[-1][1]})
        write_card(chosen, engine.registry.weights_dir)


if __name__ == "__main__":
    main()
