"""Checkpoints that the authors of DAN and RAN published, read as models of one's own.

`fer-space export FILE FOLDER --official dan-affectnet` writes the network in the layout of this project, with
a card beside it; FER_SPACE_OWN=FOLDER then shows it like any other model, with maps. Nothing is calibrated:
its probabilities are as the authors' network gives them, and its faces are cut by their boxes.
"""

from dataclasses import dataclass
from pathlib import Path

from fer_space.backbones.base import Backbone
from fer_space.backbones.resnet import read_checkpoint
from fer_space.backbones.specs import backbone_spec
from fer_space.card import Card
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, UnknownNameError
from fer_space.vision.alignment import CropRule
from fer_space.vision.preprocess import Preprocess


@dataclass(frozen=True)
class Official:
    """A family of checkpoints.

    Attributes:
        backbone: whose layout they have.
        data: what they learned from.
        labels: in the order of their outputs; one without contempt has the first seven.
        preprocess: of the authors' own code.
        source: where they are published.
        licence: what one may do with them.
    """

    backbone: str
    data: str
    labels: tuple[str, ...]
    preprocess: Preprocess
    source: str
    licence: str


_DAN = "github.com/yaoing/DAN"
_RAN = "github.com/kaiwang960112/Challenge-condition-FER-dataset"
_RESEARCH = "The authors' terms at {source}; {data} is for non-commercial research."
_COLOUR = Preprocess(224, 224, gray=False)
_UNSCALED = Preprocess(224, 224, gray=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

OFFICIALS: dict[str, Official] = {
    "dan-affectnet": Official(
        backbone="dan",
        data="affectnet",
        labels=("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
        preprocess=_COLOUR,
        source=_DAN,
        licence=_RESEARCH.format(source=_DAN, data="AffectNet"),
    ),
    "dan-rafdb": Official(
        backbone="dan",
        data="rafdb",
        labels=("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
        preprocess=_COLOUR,
        source=_DAN,
        licence=_RESEARCH.format(source=_DAN, data="RAF-DB"),
    ),
    "ran-ferplus": Official(
        backbone="ran",
        data="ferplus",
        labels=EMOTIONS,
        preprocess=_UNSCALED,
        source=_RAN,
        licence=_RESEARCH.format(source=_RAN, data="FER-2013"),
    ),
}


def read_official(kind: str, path: Path) -> tuple[Card, Backbone]:
    """Read a checkpoint and describe it.

    Args:
        kind: of `OFFICIALS`.
        path: of the checkpoint, converted to .safetensors.

    Returns:
        Its card, whose sha256 is still "", and the network in evaluation mode.

    Raises:
        UnknownNameError: there is no such kind.
        InputError: the file is no .safetensors file, or holds another network.
    """
    if kind not in OFFICIALS:
        raise UnknownNameError.of("official checkpoint", kind, OFFICIALS)
    official = OFFICIALS[kind]
    classes = len(read_checkpoint(path).get("fc.bias", ()))
    labels = official.labels[:classes]
    if len(labels) not in (len(EMOTIONS) - 1, len(EMOTIONS)) or len(labels) != classes:
        raise InputError(f"{path.name} has {classes} classes and is no checkpoint of {kind}.")
    spec = backbone_spec(official.backbone)
    backbone = spec.build(classes)
    spec.load_official(backbone, path, labels)
    card = Card(
        name=kind,
        architecture=spec.target,
        labels=tuple(emotion for emotion in EMOTIONS if emotion in labels),
        preprocess=official.preprocess,
        crop=CropRule(align=False, box_scale=1.0),
        bias=(0.0,) * classes,
        temperature=1.0,
        parameters=backbone.parameter_count(),
        sha256="",
        data=official.data,
        licence=official.licence,
        command=f"fer-space export {path.name} --official {kind}",
    )
    return card, backbone.eval().requires_grad_(False)
