"""Read a data set with a backbone: predictions first, scores after (`fer_space.evaluation.scoring`).

Without a detector every picture is taken as the face crop, as FERPlus has it. With one, the whole chain
runs as in the app: detect, align, crop, read the largest face; a picture without a found face counts as
wrong.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.data.faceset import FaceSet
from fer_space.data.twins import twin_view, twins
from fer_space.emotions import EMOTIONS
from fer_space.engine import Engine
from fer_space.evaluation.predictions import About, Predictions, today
from fer_space.inference import Readout, outputs_of
from fer_space.occlusion import occlude
from fer_space.vision.alignment import CropRule, crop_face, landmarks_in_crop
from fer_space.weights import Card

Picture = NDArray[np.uint8]


def face_crops(
    engine: Engine,
    faces: FaceSet,
    rule: CropRule,
    detector: str | None,
    occlusion: str | None = None,
    size: int = 224,
) -> Iterator[Picture | None]:
    """The crop of each picture's largest face, or None where none is found; pictures are read one by one.

    The face is found before it is covered, so that `occlusion` tries the backbone and not the detector.
    """
    for i in tqdm(range(len(faces)), desc=f"{faces.name} {faces.split}", unit="picture", leave=False):
        picture = faces.read(i)
        if detector is None:
            yield occlude(picture, occlusion) if occlusion else picture
            continue
        seen = engine.detect(picture, detector=detector)
        if not seen:
            yield None
            continue
        crop = crop_face(picture, seen[0], rule, size)
        landmarks = landmarks_in_crop(seen[0], crop)
        yield occlude(crop.image_rgb, occlusion, landmarks) if occlusion else crop.image_rgb


def read_crops(engine: Engine, card: Card, crops: list[Picture]) -> NDArray[np.float64]:
    """Calibrated probabilities float64 (N, 8) over `EMOTIONS` of face crops; absent emotions stay 0."""
    pictures = card.preprocess.reduce(crops)
    return _over_emotions(card, outputs_of(engine.network(card.name), card.preprocess, pictures))


def predict_set(
    engine: Engine,
    card: Card,
    faces: FaceSet,
    detector: str | None = None,
    *,
    occlusion: str | None = None,
    mirror: bool = True,
    embed: bool = False,
) -> Predictions:
    """Read every picture of a split with one backbone, calibrated as its card says.

    Args:
        engine: holds the backbone.
        card: the backbone's.
        faces: the split.
        detector: finds the faces; None takes each picture as the face crop.
        occlusion: what covers every face, a name in `fer_space.occlusion.OCCLUSIONS`; by its landmarks where
            a detector gives them, else by those of an average face.
        mirror: whether each face is averaged with its mirror image.
        embed: whether what the classifier reads is kept.
    """
    crops = face_crops(engine, faces, card.crop, detector, occlusion, card.crop_size)
    reduced = [None if crop is None else card.preprocess.reduce([crop]) for crop in crops]
    found = np.array([picture is not None for picture in reduced], dtype=np.bool_)
    readout = None
    if found.any():
        pictures = torch.cat([picture for picture in reduced if picture is not None])
        network = engine.network(card.name)
        readout = outputs_of(network, card.preprocess, pictures, mirror=mirror, embed=embed)
    probabilities = np.zeros((len(faces), len(EMOTIONS)))
    if readout is not None:
        probabilities[found] = _over_emotions(card, readout)
    affect = readout.affect if readout is not None else None
    embeddings = readout.embeddings if readout is not None else None
    return Predictions(
        about=About(
            backbone=card.name,
            data=faces.name,
            split=faces.split,
            detector=detector,
            occlusion=occlusion,
            model_classes=_in_order(card.labels),
            data_classes=_in_order(faces.classes),
            flip=mirror,
            date=today(),
        ),
        files=faces.files,
        labels=faces.labels,
        probabilities=probabilities,
        affect=None if affect is None else _spread(affect.double(), found),
        affect_labels=None if faces.affect is None else faces.affect.astype(np.float64),
        embeddings=None if embeddings is None else _spread(embeddings, found).astype(np.float16),
    )


def lifted(predictions: Predictions, card: Card) -> Predictions:
    """The same faces at the second operating point of the backbone's card, see `Card.lifted`."""
    columns, rows = [EMOTIONS.index(label) for label in card.labels], predictions.probabilities.copy()
    rows[:, columns] = card.lifted(torch.from_numpy(rows[:, columns])).numpy()
    return replace(predictions, about=replace(predictions.about, lift=True), probabilities=rows)


def twin_mask(faces: FaceSet, others: FaceSet) -> NDArray[np.bool_]:
    """Which faces have a near-duplicate among `others`, bool (N,), looked for at 48 x 48 gray pixels."""
    mine, theirs = (np.stack([twin_view(s.read(i)) for i in range(len(s))]) for s in (faces, others))
    return twins(mine, theirs)


def _over_emotions(card: Card, readout: Readout) -> NDArray[np.float64]:
    probabilities = np.zeros((len(readout.logits), len(EMOTIONS)))
    columns = [EMOTIONS.index(label) for label in card.labels]
    probabilities[:, columns] = card.probabilities(readout.logits).numpy()
    return probabilities


def _in_order(emotions: Iterable[str]) -> tuple[str, ...]:
    known = set(emotions)
    return tuple(emotion for emotion in EMOTIONS if emotion in known)


def _spread(rows: torch.Tensor, found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows of the found faces (M, C) -> rows of all (N, C), NaN where no face was found."""
    spread = np.full((len(found), rows.shape[1]), np.nan)
    spread[found] = rows.numpy()
    return spread
