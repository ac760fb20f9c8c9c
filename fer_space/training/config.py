"""Everything that decides a training run: one record, saved beside its weights, and the options of the
command.

Every field says what it means and what it may be; `fer-space train --help` prints just that.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fer_space.data.faceset import TargetMode
from fer_space.detectors.specs import DETECTORS
from fer_space.emotions import EMOTIONS
from fer_space.errors import DataError, InputError, UnknownNameError

ScheduleName = Literal["onecycle", "cosine", "step"]
OptimizerName = Literal["adamw", "adam", "sgd"]
MixName = Literal["none", "mixup", "cutmix", "snapmix", "attentive-cutmix"]
LossName = Literal["ce", "kl", "focal", "ldam", "logit-adjusted"]
ClassWeights = Literal["none", "inverse", "effective", "dynamic"]
Imbalance = Literal["none", "oversample", "undersample", "balanced", "sqrt"]
Freeze = Literal["none", "backbone"]
Precision = Literal["fp32", "bf16"]
Criterion = Literal["accuracy", "mixed"]


def share(default: float, description: str) -> Any:
    """Declare a field that is a share, from 0 to 1."""
    return Field(default, ge=0.0, le=1.0, description=description)


class TrainConfig(BaseModel):
    """A training run. Two runs with equal configs on one machine's CPU end with equal weights.

    Raises:
        InputError: a value is out of range, unknown, or does not go with the others.

    Example:
        >>> TrainConfig(backbone="dan", data="ferplus:faces", epochs=3).optimizer
        'adamw'
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    # What is trained, on what
    backbone: str = Field(description="name of a backbone")
    data: str = Field(description="KIND:PATH of the training data; its valid split chooses the epoch")
    target: TargetMode = Field(
        "cel", description="what the targets hold: votes in one of three ways, or the label alone"
    )
    detect: str = Field(
        "",
        description="detector by which faces of whole pictures are found, aligned and cut, as in the app; "
        "empty where pictures are face crops",
    )
    second_label: float = share(
        0.0, "share of a second label in the targets: of FERPlus's faces FER-2013's own"
    )
    sampling: str = Field(
        "",
        description="how often an epoch shows a face of each joined set, as SET=NUMBER with commas between "
        "them; 1 where a set is not named, and 1.5 shows half of its faces twice",
    )
    imbalance: Imbalance = Field("none", description="which pictures an epoch shows of each emotion")
    rebalance_limit: int = Field(
        0,
        ge=0,
        le=10**6,
        description="most pictures of an emotion with over- and undersample; 0 for no limit",
    )
    limit: int = Field(0, ge=0, le=10**9, description="use only so many pictures of each split; 0 for all")

    # How long, and how large
    epochs: int = Field(12, ge=1, le=10**6, description="length of the run")
    batch_size: int = Field(64, ge=2, le=10**6, description="pictures in a batch")
    accumulate: int = Field(1, ge=1, le=1024, description="batches whose gradients are averaged into a step")
    size: int = Field(0, ge=0, le=1024, description="side of the network's input; 0 takes the backbone's own")
    early_size: int = Field(
        0, ge=0, le=1024, description="of the first epochs, which cost less on smaller pictures"
    )
    early_epochs: int = Field(0, ge=0, le=10**6, description="how many those are")
    native_size: int = Field(
        48, ge=8, le=1024, description="side that faces are reduced to before they are enlarged to --size"
    )
    gray: bool = Field(True, description="whether faces lose their colours")

    # What the network starts from
    init: str = Field(
        "imagenet",
        description="imagenet, none, a .safetensors FILE, matching:FILE (every tensor of a relative with the "
        "same name and shape), net2net:FILE (a smaller relative, whose answers the network starts with), "
        "official:FILE (the paper's authors' checkpoint, or the ResNet-18 that they started from), "
        "torchvision:FILE, timm:FILE (a network of that library), hub:OWNER/REPO (fetches timm's from the "
        "Hub), hse:DIR or dlib:DIR (face recognition)",
    )
    freeze: Freeze = Field("none", description="backbone trains the head alone, on features that stay")
    dropout: float = Field(
        -1.0, ge=-1.0, le=0.95, description="share of features that the head leaves out; below 0 as it has it"
    )

    # How it steps
    optimizer: OptimizerName = Field(
        "adamw", description="AdamW, Adam (weight decay in the gradient), or SGD with Nesterov momentum .9"
    )
    schedule: ScheduleName = Field("onecycle", description="of the learning rates")
    lr_body: float = Field(5e-4, ge=0.0, le=10.0, description="highest learning rate of the body")
    lr_head: float = Field(1e-3, ge=0.0, le=10.0, description="highest learning rate of the head")
    weight_decay: float = share(0.02, "of all weights but biases and norms")
    warmup: float = Field(0.2, ge=0.0, le=0.99, description="share of all steps in which the rates rise")
    sam: float = Field(
        0.0,
        ge=0.0,
        le=10.0,
        description="radius of sharpness-aware minimisation, two passes a step; 0 for off",
    )
    ema_decay: float = Field(
        0.998,
        ge=0.0,
        le=0.99999,
        description="of the averaged weights that are validated and shipped; 0 for off",
    )
    precision: Precision = Field("fp32", description="bf16 runs the network under autocast")

    # What happens to the pictures
    rotate: float = Field(12.0, ge=0.0, le=180.0, description="augmentation: largest angle in degrees")
    zoom: float = Field(0.12, ge=0.0, le=2.0, description="augmentation: largest change of size, as a share")
    shift: float = Field(
        0.08, ge=0.0, le=1.0, description="augmentation: largest shift, as a share of the side"
    )
    brightness: float = Field(0.25, ge=0.0, le=1.0, description="augmentation: largest change, as a share")
    contrast: float = Field(0.25, ge=0.0, le=1.0, description="augmentation: largest change, as a share")
    flip: float = share(0.5, "augmentation: share of pictures that are mirrored")
    erase: float = share(0.4, "augmentation: share of pictures in which a box is erased")
    blur: float = share(0.0, "augmentation: share of pictures that are blurred")
    jpeg: float = share(0.0, "augmentation: share of pictures compressed like a JPEG file of low quality")
    noise: float = share(0.0, "augmentation: share of pictures with the noise of a sensor")
    gamma: float = share(0.0, "augmentation: share of pictures whose middle tones move")
    decolour: float = share(0.0, "augmentation: share of coloured pictures that lose their colours")
    mask: float = share(0.0, "share of faces that wear a mask")
    upper: float = share(0.0, "share of faces that show only what a mask leaves free")
    mix: MixName = Field("none", description="how two pictures and their targets become one")
    mix_share: float = share(0.5, "share of the pictures that are mixed")
    guide: str = Field("efficientnet_lite0", description="model whose attention Attentive CutMix follows")

    # What is learned from them
    teachers: str = Field(
        "",
        description="models whose mean answer is a part of every target, with commas between them: names, "
        "folders of runs, or .safetensors files",
    )
    teacher_share: float = share(0.5, "how large that part is")
    label_smoothing: float = Field(
        0.0, ge=0.0, le=0.99, description="share of the target spread evenly over all emotions"
    )
    loss: LossName = Field("ce", description="of the emotions")
    focal_gamma: float = Field(2.0, ge=0.0, le=10.0, description="exponent of the focal loss")
    margin: float = Field(2.0, ge=0.0, le=30.0, description="LDAM's largest margin, in logits")
    tau: float = Field(1.0, ge=0.0, le=5.0, description="strength of logit adjustment")
    class_weights: ClassWeights = Field("none", description="of the emotions in the loss")
    emotion_weights: str = Field(
        "",
        description="of the emotions in the loss, given as EMOTION=NUMBER with commas between them; 1 where "
        "an emotion is not named",
    )
    defer: float = share(0.0, "share of the epochs before class weights act")
    dynamic_rate: float = share(0.01, "how fast dynamic weights move")
    affect_weight: float = Field(
        0.0,
        ge=0.0,
        le=100.0,
        description="of 1 - CCC beside the emotions' loss; above 0 the head learns valence and arousal",
    )
    criterion: Criterion = Field(
        "accuracy",
        description="validation figure of the best epoch: accuracy on the first set of --data, or mixed, the "
        "mean recall of emotions in each set, averaged over the sets",
    )

    # Where it runs
    processes: int = Field(
        1, ge=1, le=1024, description="worker processes of one thread each that share every batch"
    )
    seed: int = Field(0, ge=0, le=2**31, description="of everything random")

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_sentence(error)) from error

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if bool(self.early_epochs) != bool(self.early_size):
            raise ValueError("--early-epochs and --early-size need each other.")
        weighted = self.class_weights != "none" or self.emotion_weights
        if weighted and self.defer and self.defer * self.epochs > self.epochs - 1:
            raise ValueError(f"--defer {self.defer} leaves none of {self.epochs} epochs for the weights.")
        if self.batch_size % self.processes or self.batch_size < 2 * self.processes:
            raise ValueError(
                "--batch-size must be a multiple of --processes, two pictures for each at least."
            )
        if self.detect and self.detect not in DETECTORS:
            raise ValueError(str(UnknownNameError.of("detector", self.detect, DETECTORS)))
        if self.target == "multi" and self.label_smoothing:
            raise ValueError("--target multi takes any accepted emotion; label smoothing would accept all.")
        if self.target == "multi" and (self.mix != "none" or self.loss != "ce" or self.teachers):
            raise ValueError("--target multi has a loss of its own: it takes no --loss, --mix or --teachers.")
        if self.rebalance_limit and self.imbalance not in ("oversample", "undersample"):
            raise ValueError("--rebalance-limit needs --imbalance oversample or undersample.")
        if unknown := set(parse_numbers(self.emotion_weights, "emotion-weights")) - set(EMOTIONS):
            raise ValueError(f"--emotion-weights: there is no emotion “{unknown.pop()}”.")
        if self.emotion_weights and self.class_weights != "none":
            raise ValueError("--emotion-weights and --class-weights say the same: choose one.")
        fractions = any(number % 1.0 for number in parse_numbers(self.sampling, "sampling").values())
        if fractions and self.imbalance in ("oversample", "undersample"):
            raise ValueError(f"--sampling takes whole numbers with --imbalance {self.imbalance}.")
        return self

    def changed(self, **changes: Any) -> "TrainConfig":
        """Copy the config with other values, which are checked like the first ones."""
        return TrainConfig(**(self.to_dict() | changes))

    def to_dict(self) -> dict[str, Any]:
        """Give plain values for JSON."""
        return self.model_dump()

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """Rebuild a run from its config.json; raises InputError on a field that does not exist."""
        return cls(**values)


def read_config(path: Path) -> TrainConfig:
    """Read a run's config.json; raises DataError that names the file when it is damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return TrainConfig.from_dict(values)
    except (OSError, ValueError, TypeError, InputError) as error:
        raise DataError(f"{path} cannot be read as the config of a run: {error}") from error


def parse_numbers(text: str, option: str) -> dict[str, float]:
    """Read numbers by name.

    Args:
        text: NAME=NUMBER with commas between them; each number from 0 to 1000.
        option: of the command line, for the message.

    Raises:
        ValueError: it has another form.

    Example:
        >>> parse_numbers("ckplus=3,diffusionfer=1.5", "sampling")
        {'ckplus': 3.0, 'diffusionfer': 1.5}
    """
    numbers: dict[str, float] = {}
    for part in filter(None, (word.strip() for word in text.split(","))):
        name, _, number = part.partition("=")
        try:
            value = float(number)
        except ValueError:
            raise ValueError(f"--{option}: “{part}” is not of the form NAME=NUMBER.") from None
        if not 0.0 <= value <= 1000.0:
            raise ValueError(f"--{option}: “{part}” must lie between 0 and 1000.")
        numbers[name.strip()] = value
    return numbers


def _sentence(error: ValidationError) -> str:
    """What is wrong, in the words of the command line."""
    found = error.errors(include_url=False, include_input=False)
    unknown = [str(part["loc"][0]) for part in found if part["type"] == "extra_forbidden"]
    if unknown:
        return f"A config has no fields named {', '.join(sorted(unknown))}."
    first = found[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    low, high = bounds_of(name)
    if low is not None and first["type"].startswith(("greater", "less")):
        return f"--{name.replace('_', '-')} must lie between {low:g} and {high:g}."
    return f"--{name.replace('_', '-')}: {first['msg'].lower()}."


def bounds_of(name: str) -> tuple[float | None, float | None]:
    """Look up the least and the largest value of a field; None where it has none."""
    metadata: Sequence[Any] = TrainConfig.model_fields[name].metadata
    low = next((rule.ge for rule in metadata if hasattr(rule, "ge")), None)
    high = next((rule.le for rule in metadata if hasattr(rule, "le")), None)
    return low, high
