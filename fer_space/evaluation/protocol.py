"""Test a backbone on a data set: predictions first, scores after.

Without a detector every picture is taken as the face crop, as FERPlus has it. With one, the whole chain
runs as in the app: detect, align, crop, read the largest face; a picture without a found face counts as
wrong.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.alignment import CropRule, crop_face
from fer_space.data.faceset import FaceSet
from fer_space.engine import Engine
from fer_space.evaluation.metrics import confusion, score
from fer_space.inference import logits_of
from fer_space.labels import EMOTIONS
from fer_space.weights import Card

Picture = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What a backbone said of a split.

    Attributes:
        backbone: its name.
        faces: the split.
        probabilities: float64 (N, 8) over `EMOTIONS`; rows of zeros where no face was found.
        detector: the detector that was used, or None.
    """

    backbone: str
    faces: FaceSet
    probabilities: NDArray[np.float64]
    detector: str | None

    def record(self) -> dict[str, Any]:
        """The scores as one JSON-ready record."""
        record: dict[str, Any] = {
            "backbone": self.backbone,
            "data": self.faces.name,
            "split": self.faces.split,
            **score(self.probabilities, self.faces.labels),
        }
        if self.detector is not None:
            record["detector"] = self.detector
            record["undetected"] = int((~self.probabilities.any(axis=1)).sum())
        return record

    def save(self, out: Path) -> None:
        """Write into `out` a .parquet (file, label, one column an emotion) and the confusion as .png.

        Both are named BACKBONE-DATA-SPLIT, and -DETECTOR where one was used.
        """
        import pandas

        from fer_space.evaluation.plots import draw_confusion

        out.mkdir(parents=True, exist_ok=True)
        names = [EMOTIONS[label] for label in self.faces.labels]
        table = pandas.DataFrame(self.probabilities, columns=list(EMOTIONS))
        table.insert(0, "label", names)
        table.insert(0, "file", self.faces.files)
        stem = "-".join(filter(None, (self.backbone, self.faces.name, self.faces.split, self.detector)))
        table.to_parquet(out / f"{stem}.parquet", index=False)
        counts = confusion(self.probabilities, self.faces.labels)
        draw_confusion(
            counts, f"{self.backbone} on {self.faces.name} {self.faces.split}", out / f"{stem}.png"
        )


def detected_crops(
    engine: Engine, faces: FaceSet, rule: CropRule, detector: str
) -> tuple[list[Picture], NDArray[np.bool_]]:
    """The crop of the largest face of each picture, and the mask (N,) of pictures with a face."""
    crops, found = [], np.zeros(len(faces), dtype=np.bool_)
    for i in tqdm(range(len(faces)), desc=f"{detector} on {faces.name}", unit="picture", leave=False):
        picture = faces.read(i)
        seen = engine.detect(picture, detector=detector)
        if seen:
            crops.append(crop_face(picture, seen[0], rule).image_rgb)
            found[i] = True
    return crops, found


def read_crops(engine: Engine, card: Card, crops: list[Picture]) -> NDArray[np.float64]:
    """Calibrated probabilities float64 (N, 8) over `EMOTIONS` of face crops; absent emotions stay 0."""
    network = engine.network(card.name)
    logits = logits_of(network, card.preprocess, card.preprocess.reduce(crops))
    probabilities = np.zeros((len(crops), len(EMOTIONS)))
    columns = [EMOTIONS.index(label) for label in card.labels]
    probabilities[:, columns] = card.probabilities(logits).numpy()
    return probabilities


def predict_set(engine: Engine, card: Card, faces: FaceSet, detector: str | None = None) -> Predictions:
    """Read every picture of a split with one backbone, calibrated as its card says."""
    if detector is None:
        crops, found = [faces.read(i) for i in range(len(faces))], np.ones(len(faces), dtype=np.bool_)
    else:
        crops, found = detected_crops(engine, faces, card.crop, detector)
    probabilities = np.zeros((len(faces), len(EMOTIONS)))
    if crops:
        probabilities[found] = read_crops(engine, card, crops)
    return Predictions(card.name, faces, probabilities, detector)
