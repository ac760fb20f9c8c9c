"""What a run starts from: its folder, its network, its preprocessing, the guide of its mix."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from fer_space.backbones.base import Backbone
from fer_space.errors import InputError
from fer_space.labels import EMOTIONS
from fer_space.preprocess import Preprocess
from fer_space.registry import BackboneSpec, backbone_spec
from fer_space.training.config import TrainConfig
from fer_space.training.growing import grown
from fer_space.training.mixing import MIXES
from fer_space.training.recipe import Guide
from fer_space.training.teaching import Teaching, load_teachers
from fer_space.weights import load_backbone, read_card

AFFECT = "head.affect."
BODY = "body."
GROWN = "grown:"
MATCHING = "matching:"
OFFICIAL = "official:"


def input_size(config: TrainConfig) -> int:
    """The side in pixels that the finished network reads."""
    return config.size or backbone_spec(config.backbone).input_size


def preprocess_for(config: TrainConfig, size: int = 0) -> Preprocess:
    """The preprocessing that a config trains for (at `size` instead of the final one, if given)."""
    return Preprocess(size or input_size(config), config.native_size, config.gray)


def empty_network(config: TrainConfig) -> Backbone:
    """The network of a config, its weights not yet read."""
    return backbone_spec(config.backbone).build(len(EMOTIONS), config.affect_weight > 0)


def start_network(config: TrainConfig) -> Backbone:
    """The network before its first step, the same for equal configs."""
    torch.manual_seed(config.seed)
    backbone = empty_network(config)
    initialise(backbone, backbone_spec(config.backbone), config.init)
    if config.freeze == "backbone":
        backbone.body.requires_grad_(False)
    return backbone


def initialise(backbone: Backbone, spec: BackboneSpec, init: str) -> None:
    """Fill the network before the first step; `init` is what `TrainConfig` says.

    A file without valence and arousal leaves that part of the head at its start; what a file has of it and
    the network has not is left out.
    Raises InputError when there are no such weights for this backbone.
    """
    if init == "imagenet":
        spec.load_imagenet(backbone)
    elif init.startswith(OFFICIAL):
        spec.load_official(backbone, Path(init.removeprefix(OFFICIAL)))
    elif init != "none":
        try:
            if init.startswith(MATCHING):
                _fill_matching(backbone, init.removeprefix(MATCHING))
            elif init.startswith(GROWN):
                _fill_grown(backbone, init.removeprefix(GROWN))
            else:
                _fill(backbone, init)
        except (OSError, RuntimeError, SafetensorError) as error:
            raise InputError(f"--init: {init} does not hold the weights of {spec.name}.") from error


def _fill(backbone: Backbone, init: str) -> None:
    own = backbone.state_dict()
    start = {name: tensor for name, tensor in own.items() if name.startswith(AFFECT)}
    backbone.load_state_dict(start | _tensors(init, own))


def _fill_grown(backbone: Backbone, init: str) -> None:
    own = backbone.state_dict()
    backbone.load_state_dict(grown(own, _tensors(init, own)))


def _tensors(path: str, own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file, without a valence and arousal that the network `own` has no place for."""
    return {n: t for n, t in load_file(path).items() if n in own or not n.startswith(AFFECT)}


def _fill_matching(backbone: Backbone, init: str) -> None:
    own = backbone.state_dict()
    given = {n: t for n, t in load_file(init).items() if n in own and own[n].shape == t.shape}
    if not any(name.startswith(BODY) for name in given):
        raise RuntimeError("no tensor of the body agrees")
    backbone.load_state_dict(own | given)


def guide_for(config: TrainConfig) -> Guide | None:
    """The trained backbone that the mix of a config follows; None where it follows none.

    Raises WeightsError when its weights are not here.
    """
    if config.mix == "none" or MIXES[config.mix]().needs != "guide":
        return None
    return load_guide(config.guide)


def load_guide(name: str) -> Guide:
    """A backbone of the folder of weights as a guide; raises WeightsError when it is not there."""
    card = read_card(name)
    return Guide(load_backbone(card), card.preprocess)


def teaching_for(config: TrainConfig, device: torch.device) -> Teaching | None:
    """The teachers of a config on `device`; None where it names none; raises like `load_teachers`."""
    if not config.teachers:
        return None
    return Teaching(load_teachers(config.teachers, device), config.teacher_share)


def open_run(config: TrainConfig, out: Path, *, resume: bool) -> None:
    """Make the folder of a run and write its config.json, or check that it is there for a resumed one.

    Raises InputError when the folder holds another run, or this one and `resume` is not asked for.
    """
    path = out / "config.json"
    if path.is_file():
        if TrainConfig.from_dict(json.loads(path.read_text(encoding="utf-8"))) != config:
            raise InputError(f"{out} holds another run; resume it with its own settings ({path.name}).")
        if (out / "last.pt").is_file() and not resume:
            raise InputError(f"{out} holds this run already: --resume continues it.")
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config.to_dict(), indent=2) + "\n", encoding="utf-8")
