"""Read a data set with a model: outputs first, scores after (`fer_space.evaluation.recording`).

    predict_dataset(load_model("dan"), open_data("ferplus:DIR", "test"))

Without a detector every picture is taken as the face crop, as FER data sets have it. With one, the whole
chain runs as in the engine: find, align, crop, occlude, read the largest face; a picture without a found face
counts as wrong. What the same detector found for `prepare --align` is not looked for again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from fer_space.card import Card, Setting
from fer_space.data.aligning import look
from fer_space.data.faceset import FaceSet
from fer_space.data.near_duplicates import find_near_duplicates, thumbnail
from fer_space.emotions import EMOTIONS
from fer_space.evaluation.outputs import About, Outputs, today
from fer_space.model import Model
from fer_space.occlusion.cover import Cover
from fer_space.types import Face
from fer_space.vision.alignment import crop_face

Picture = NDArray[np.uint8]


class Detect(Protocol):
    """Something that finds faces, the largest first: `Engine.detect`."""

    def __call__(self, image_rgb: Picture, *, detector: str) -> Sequence[Face]:
        """Find the faces of a picture uint8 (H, W, 3) RGB."""


def setting_of(
    faces: FaceSet,
    *,
    detector: str | None = None,
    occlusion: str | None = None,
    flip: bool = True,
    boost_rare: bool = False,
) -> Setting:
    """Name what is read, and how: a split with its options, see `Setting`."""
    return Setting(
        data=faces.name,
        split=faces.split,
        detector=detector,
        occlusion=occlusion,
        flip=flip,
        boost_rare=boost_rare,
    )


def predict_dataset(
    model: Model,
    faces: FaceSet,
    setting: Setting | None = None,
    *,
    detect: Detect | None = None,
    embed: bool = False,
) -> Outputs:
    """Read every picture of a split with one model.

    Args:
        model: whose card says how crops are cut and what its logits mean.
        faces: the split.
        setting: how it is read; None reads face crops as they are, flipped too.
        detect: finds the faces, if the setting names a detector.
        embed: whether what the classifier reads is kept.

    Returns:
        One row a picture, in the order of the split.

    Raises:
        ValueError: the setting is of other faces, or names a detector and `detect` is not given.
    """
    setting = setting or setting_of(faces)
    if (setting.data, setting.split) != (faces.name, faces.split):
        raise ValueError(f"the setting is of {setting}, the faces are of {faces.name} {faces.split}")
    # Each crop is reduced at once: a split of large pictures would not fit into memory.
    crops = face_crops(faces, model.card, setting, detect)
    reduced = [None if crop is None else model.reduce([crop]) for crop in crops]
    found = np.array([picture is not None for picture in reduced], dtype=np.bool_)
    probabilities, affect, embeddings = np.full((len(faces), len(EMOTIONS)), np.nan), None, None
    if found.any():
        pictures = torch.cat([picture for picture in reduced if picture is not None])  # (M, C, n, n)
        output = model.predict_reduced(pictures, flip=setting.flip, embed=embed)
        probabilities[found] = output.probabilities
        affect = None if output.affect is None else _spread(output.affect, found)
        embeddings = None if output.embedding is None else _spread(output.embedding, found)
    outputs = Outputs(
        about=About(
            model=model.name,
            setting=setting.model_copy(update={"boost_rare": False}),
            model_classes=model.card.emotions,
            data_classes=tuple(emotion for emotion in EMOTIONS if emotion in faces.classes),
            sets=() if faces.origins is None else faces.members,
            date=today(),
        ),
        files=faces.files,
        labels=faces.labels,
        probabilities=probabilities,
        affect=affect,
        affect_labels=None if faces.affect is None else faces.affect.astype(np.float64),
        origins=faces.origins,
        embeddings=None if embeddings is None else embeddings.astype(np.float16),
    )
    return boosted(outputs, model.card) if setting.boost_rare else outputs


def boosted(outputs: Outputs, card: Card) -> Outputs:
    """Move outputs to the second operating point of their model's card.

    Valence and arousal stay those of the first: a face does not feel otherwise by a switch.

    Args:
        outputs: of that model, at its first operating point.
        card: the model's; one without a second point changes nothing but the setting.
    """
    setting = outputs.about.setting.model_copy(update={"boost_rare": True})
    return replace(
        outputs,
        about=outputs.about.model_copy(
            update={"setting": setting, "affect_source": outputs.affect_source},
        ),
        probabilities=card.boosted(outputs.probabilities),
        affect=outputs.affect if outputs.affect_labels is None else outputs.valence_arousal,
    )


def face_crops(
    faces: FaceSet, card: Card, setting: Setting, detect: Detect | None = None
) -> Iterator[Picture | None]:
    """Cut the crop that a model gets of each picture's largest face.

    The face is found before it is occluded, so that an occlusion tries the model and not the detector.

    Args:
        faces: pictures are read one by one.
        card: says how crops are cut.
        setting: its detector and occlusion.
        detect: as in `predict_dataset`.

    Yields:
        uint8 (S, S, 3) RGB, or None where no face is found.
    """
    cover = None if setting.occlusion is None else Cover(setting.occlusion)
    for i in tqdm(range(len(faces)), desc=f"{faces.name} {faces.split}", unit="picture", leave=False):
        if setting.detector is None:
            picture = faces.read(i)
            yield picture if cover is None else cover.on_picture(picture)
            continue
        picture, face = _largest(faces, i, setting.detector, detect)
        if face is None:
            yield None
            continue
        crop = crop_face(picture, face, card.crop, card.crop_size)
        yield (crop if cover is None else cover.on_crop(crop, face)).image_rgb


def _largest(faces: FaceSet, i: int, detector: str, detect: Detect | None) -> tuple[Picture, Face | None]:
    """Picture i and its largest face, or the one in the owner's box, as in training; None without one."""
    found = faces.found_by(detector, i)
    if found is None:
        if detect is None:
            raise ValueError(f"detect is needed to find faces by {detector}")
        found = look(faces.encoded(i), faces.box(i), detector, partial(detect, detector=detector))
    return faces.read_whole(i), found.face


def near_duplicates(faces: FaceSet, others: FaceSet) -> NDArray[np.bool_]:
    """Find the faces that lie among others too, or nearly so, at 48 x 48 gray pixels.

    Returns:
        bool (N,), one a face.
    """
    mine, theirs = (np.stack([thumbnail(s.read(i)) for i in range(len(s))]) for s in (faces, others))
    return find_near_duplicates(mine, theirs)


def _spread(rows: NDArray[np.float32], found: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Rows of the found faces (M, C) -> rows of all (N, C), NaN where no face was found."""
    spread = np.full((len(found), rows.shape[1]), np.nan)
    spread[found] = rows
    return spread
