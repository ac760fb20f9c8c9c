"""Everything that decides a training run, in one dataclass that is saved beside its weights."""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from fer_space.data.ferplus import TargetMode
from fer_space.errors import InputError

ScheduleName = Literal["onecycle", "cosine", "step"]
OptimizerName = Literal["adamw", "adam", "sgd"]
MixName = Literal["none", "mixup", "cutmix", "snapmix", "attentive-cutmix"]
LossName = Literal["ce", "kl", "focal", "ldam", "logit-adjusted"]
ClassWeights = Literal["none", "inverse", "effective", "dynamic"]
Imbalance = Literal["none", "oversample", "undersample", "balanced", "sqrt"]
Freeze = Literal["none", "backbone"]
Precision = Literal["fp32", "bf16"]
Criterion = Literal["accuracy", "mixed"]

RANGES: tuple[tuple[str, float, float], ...] = (
    ("size", 0, 1024),
    ("early_size", 0, 1024),
    ("early_epochs", 0, 1e6),
    ("lr_body", 0, 10),
    ("lr_head", 0, 10),
    ("weight_decay", 0, 1),
    ("native_size", 8, 1024),
    ("warmup", 0, 0.99),
    ("label_smoothing", 0, 0.99),
    ("ema_decay", 0, 0.99999),
    ("flip", 0, 1),
    ("erase", 0, 1),
    ("second_label", 0, 1),
    ("mix_share", 0, 1),
    ("teacher_share", 0, 1),
    ("mask", 0, 1),
    ("upper", 0, 1),
    ("focal_gamma", 0, 10),
    ("margin", 0, 30),
    ("tau", 0, 5),
    ("dynamic_rate", 0, 1),
    ("defer", 0, 1),
    ("affect_weight", 0, 100),
    ("accumulate", 1, 1024),
    ("limit", 0, 1e9),
    ("blur", 0, 1),
    ("jpeg", 0, 1),
    ("noise", 0, 1),
    ("gamma", 0, 1),
    ("decolour", 0, 1),
    ("sam", 0, 10),
    ("dropout", -1, 0.95),
)


def parse_shares(sampling: str) -> dict[str, float]:
    """`"ckplus=3,diffusionfer=2"` -> how often a face of each set is shown; raises InputError elsewhere."""
    shares: dict[str, float] = {}
    for part in filter(None, (word.strip() for word in sampling.split(","))):
        name, _, number = part.partition("=")
        try:
            shares[name.strip()] = float(number)
        except ValueError:
            raise InputError(f"--sampling: “{part}” is not of the form SET=NUMBER.") from None
        if not 0.0 <= shares[name.strip()] <= 1000.0:
            raise InputError(f"--sampling: “{part}” must lie between 0 and 1000.")
    return shares


@dataclass(frozen=True)
class TrainConfig:
    """A training run. Two runs with equal configs on one machine end with equal weights.

    Attributes:
        backbone: name in the registry.
        data: KIND:PATH of the training data; its valid split chooses the epoch.
        target: what the targets hold (`fer_space.data.ferplus.collect_ferplus`).
        second_label: share of FER-2013's own label in the targets of FERPlus; the votes have the rest.
        epochs: length of the run.
        batch_size: pictures in a step.
        size: side in pixels of the network's input; 0 takes the registry's.
        early_size: of the first epochs, which cost less on smaller pictures (progressive learning, Tan & Le
            2021, arXiv 2104.00298).
        early_epochs: how many those are.
        native_size: side in pixels that faces are reduced to before they are enlarged to `size`.
        gray: whether faces lose their colours.
        optimizer: AdamW, Adam (whose weight decay is a part of the gradient), or SGD with Nesterov momentum .9.
        sam: radius of sharpness-aware minimisation (Foret et al. 2021, arXiv 2010.01412), which takes two
            passes a step; 0 switches it off.
        dropout: share of features that the head leaves out in training; below 0 as the backbone has it.
        schedule: of the rates, see `fer_space.training.optim.build_schedule`.
        lr_body: highest learning rate of the body.
        lr_head: highest learning rate of the head.
        weight_decay: of all weights but biases and norms.
        warmup: share of all steps in which the rates rise.
        label_smoothing: share of the target spread evenly over all emotions.
        ema_decay: of the averaged weights that are validated and shipped; 0 switches them off.
        rotate: augmentation: largest angle in degrees.
        zoom: augmentation: largest change of size, as a share.
        shift: augmentation: largest shift, as a share of the side.
        brightness: augmentation: largest change, as a share.
        contrast: augmentation: largest change, as a share.
        flip: augmentation: share of pictures that are mirrored.
        erase: augmentation: share of pictures in which a box is erased.
        blur: augmentation: share of pictures that are blurred.
        jpeg: augmentation: share of pictures that are compressed like a JPEG file of low quality.
        noise: augmentation: share of pictures with the noise of a sensor.
        gamma: augmentation: share of pictures whose middle tones move.
        decolour: augmentation: share of coloured pictures that lose their colours.
        mix: how two pictures and their targets become one (`fer_space.training.mixing`).
        mix_share: share of the pictures that are mixed; the papers of mixup and SnapMix mix all of them.
        guide: backbone in the folder of weights whose attention Attentive CutMix follows.
        teachers: backbones in the folder of weights, with commas between them, whose mean answer is a part of
            every target (`fer_space.training.teaching`); nothing for none.
        teacher_share: how large that part is.
        mask: share of faces that wear a mask (`fer_space.training.masking`).
        upper: share of faces that show only what a mask leaves free.
        loss: see `fer_space.training.losses`.
        focal_gamma: exponent of the focal loss.
        margin: LDAM's largest, in logits. The paper's .5 on cosines times 30 is 15; our logits are none.
        tau: strength of logit adjustment.
        class_weights: of the emotions in the loss.
        defer: share of the epochs before class weights act (deferred re-weighting).
        dynamic_rate: how fast dynamic weights move.
        imbalance: which pictures an epoch shows (`fer_space.training.sampling`).
        sampling: how often an epoch shows a face of each of the joined sets, as SET=NUMBER with commas between
            them; 1 where a set is not named, and 1.5 shows half of its faces twice.
        criterion: validation figure of the best epoch: "accuracy" on the first set of the data, or "mixed", the
            mean recall of emotions in each set, averaged over the sets.
        affect_weight: of 1 - CCC beside the emotions' loss; above 0 the head learns valence and arousal.
        freeze: "backbone" trains the head alone, on features that stay as they were.
        precision: "bf16" runs the network under autocast.
        accumulate: batches whose gradients are averaged into one step.
        init: "imagenet", "none", the path of a .safetensors file to start from, or "matching:" and the path
            of a related network's file, of which every tensor with the same name and shape is taken, or
            "grown:" and the path of a smaller relative's file, whose answers the network starts with
            (`fer_space.training.growing`), or "official:" and the path of a checkpoint of the paper's
            authors, converted to .safetensors.
        processes: worker processes of one thread each that share every batch; they see their own
            batch statistics, so their number belongs to the run.
        seed: of everything random.
        limit: use only the first so many pictures of each split; 0 for all (for trying things out).
    """

    backbone: str
    data: str
    target: TargetMode = "cel"
    second_label: float = 0.0
    epochs: int = 12
    batch_size: int = 64
    size: int = 0
    early_size: int = 0
    early_epochs: int = 0
    native_size: int = 48
    gray: bool = True
    optimizer: OptimizerName = "adamw"
    sam: float = 0.0
    dropout: float = -1.0
    schedule: ScheduleName = "onecycle"
    lr_body: float = 5e-4
    lr_head: float = 1e-3
    weight_decay: float = 0.02
    warmup: float = 0.2
    label_smoothing: float = 0.0
    ema_decay: float = 0.998
    rotate: float = 12.0
    zoom: float = 0.12
    shift: float = 0.08
    brightness: float = 0.25
    contrast: float = 0.25
    flip: float = 0.5
    erase: float = 0.4
    blur: float = 0.0
    jpeg: float = 0.0
    noise: float = 0.0
    gamma: float = 0.0
    decolour: float = 0.0
    mix: MixName = "none"
    mix_share: float = 0.5
    guide: str = "efficientnet_lite0"
    teachers: str = ""
    teacher_share: float = 0.5
    mask: float = 0.0
    upper: float = 0.0
    loss: LossName = "ce"
    focal_gamma: float = 2.0
    margin: float = 2.0
    tau: float = 1.0
    class_weights: ClassWeights = "none"
    defer: float = 0.0
    dynamic_rate: float = 0.01
    imbalance: Imbalance = "none"
    sampling: str = ""
    criterion: Criterion = "accuracy"
    affect_weight: float = 0.0
    freeze: Freeze = "none"
    precision: Precision = "fp32"
    accumulate: int = 1
    init: str = "imagenet"
    processes: int = 1
    seed: int = 0
    limit: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 2:
            raise InputError("A training run needs at least 1 epoch and 2 pictures in a batch.")
        if self.early_epochs and not self.early_size:
            raise InputError("--early-epochs needs --early-size.")
        if self.processes < 1 or self.batch_size % self.processes:
            raise InputError("--batch-size must be a multiple of --processes.")
        if self.target == "multi" and self.label_smoothing:
            raise InputError("--target multi takes any accepted emotion; label smoothing would accept all.")
        if self.target == "multi" and (self.mix != "none" or self.loss != "ce" or self.teachers):
            raise InputError("--target multi has a loss of its own: it takes no --loss, --mix or --teachers.")
        fractions = any(number % 1.0 for number in parse_shares(self.sampling).values())
        if fractions and self.imbalance in ("oversample", "undersample"):
            raise InputError(f"--sampling takes whole numbers with --imbalance {self.imbalance}.")
        for name, low, high in RANGES:
            if not low <= getattr(self, name) <= high:
                raise InputError(f"--{name.replace('_', '-')} must lie between {low:g} and {high:g}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainConfig":
        """Rebuild a run from its config.json; raises InputError on a field that does not exist."""
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown:
            raise InputError(f"config.json has unknown fields: {', '.join(sorted(unknown))}.")
        return cls(**values)
