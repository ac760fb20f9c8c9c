"""Which framing of a photo's face does a backbone read best? Measured, not guessed.

    python benchmarks/choose_crop.py efficientnet_lite0 diffusionfer:DIR [--record]

Runs detection once over the validation half, then crops, reads and scores every face by many rules, and
prints one JSON line a rule, the best by balanced accuracy last. With --record the best rule goes into the
backbone's card. The test half is not touched.
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import numpy as np
from numpy.typing import NDArray

from fer_space.alignment import CropRule, crop_face
from fer_space.data import open_data
from fer_space.engine import Engine
from fer_space.evaluation.metrics import accuracy, balanced_accuracy
from fer_space.evaluation.protocol import read_crops
from fer_space.registry import DEFAULT_DETECTOR
from fer_space.types import Face
from fer_space.weights import Card, paths_of

RULES = [
    *(CropRule(scale=scale) for scale in (0.9, 1.0, 1.1, 1.2, 1.3)),
    *(CropRule(scale=scale, shift_y=shift) for scale in (1.0, 1.1) for shift in (-0.04, 0.04)),
    *(CropRule(align=False, box_scale=scale) for scale in (1.0, 1.12, 1.25)),
]

Seen = tuple[NDArray[np.uint8], Face]


def score_rule(
    engine: Engine, card: Card, rule: CropRule, seen: Sequence[Seen], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Accuracy and balanced accuracy of one rule on the faces that were found."""
    crops = [crop_face(picture, face, rule).image_rgb for picture, face in seen]
    probabilities = read_crops(engine, card, crops)
    return {
        "accuracy": round(accuracy(probabilities, labels), 4),
        "balanced_accuracy": round(balanced_accuracy(probabilities, labels), 4),
    }


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
    card = engine.card(args.backbone)
    pictures = [faces.read(i) for i in range(len(faces))]
    found = [engine.detect(picture, detector=DEFAULT_DETECTOR)[:1] for picture in pictures]
    seen = [(picture, face[0]) for picture, face in zip(pictures, found, strict=True) if face]
    labels = faces.labels[[bool(face) for face in found]]
    rows = [(score_rule(engine, card, rule, seen, labels), rule) for rule in RULES]
    rows.sort(key=lambda row: row[0]["balanced_accuracy"])
    for scores, rule in rows:
        print(json.dumps({"faces": len(seen), **scores, **asdict(rule)}))
    if args.record:
        chosen = replace(card, crop=rows[-1][1])
        paths_of(card.name, engine.weights_dir)[1].write_text(chosen.to_json(), encoding="utf-8")


if __name__ == "__main__":
    main()
