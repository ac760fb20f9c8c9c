"""The ResNet-18 body that DAN and RAN share, and the reader of their authors' checkpoints.

He et al. 2016, arXiv 1512.03385.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.resnet import BasicBlock

from fer_space.backbones.backward import Followed, chain, follow
from fer_space.backbones.originals import COUNTER
from fer_space.emotions import column_of
from fer_space.errors import InputError, WeightsError
from fer_space.tensors import load_tensors

CHANNELS = 512
CHILDREN = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")


def resnet18_body() -> nn.Sequential:
    """Pictures float (B, 3, S, S) -> features float (B, 512, S/32, S/32): ResNet-18 without pooling and fc.

    The stages keep the names that they have in torchvision.
    """
    network = resnet18(weights=None)
    return nn.Sequential(OrderedDict((name, getattr(network, name)) for name in CHILDREN))


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of an authors' checkpoint, without the prefix that data-parallel training gives names.

    Raises InputError, which says how to convert the file, unless it is a .safetensors file.
    """
    try:
        tensors = load_tensors(path)
    except WeightsError as error:
        raise InputError(str(error)) from error
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def body_name(name: str) -> str | None:
    """The name that a tensor of ResNet-18 has in `resnet18_body`, or None for other tensors.

    Checkpoints name its parts as torchvision does, or `features.N` after their place among its children.
    """
    first, _, rest = name.partition(".")
    if first == "features":
        place, _, rest = rest.partition(".")
        first = CHILDREN[int(place)] if place.isdecimal() and int(place) < len(CHILDREN) else ""
    return f"{first}.{rest}" if first in CHILDREN else None


def name_in_body(name: str) -> str | None:
    """The name in a backbone of a tensor of ResNet-18, or None for other tensors."""
    inside = body_name(name)
    return f"body.{inside}" if inside else None


def canonical_columns(labels: Sequence[str]) -> list[int]:
    """The places of a checkpoint's classes, read in the order of `EMOTIONS`."""
    return sorted(range(len(labels)), key=lambda place: column_of(labels[place]))


def fill(network: nn.Module, tensors: Mapping[str, Tensor], optional: tuple[str, ...], source: Path) -> None:
    """Load tensors strictly, except that names that start with one of `optional` may be absent.

    Counters of norms may be absent too: checkpoints from before 2018 have none.

    Raises InputError when names or shapes do not agree.
    """
    own = network.state_dict().items()
    start = {name: t for name, t in own if name.startswith(optional) or name.endswith(COUNTER)}
    try:
        network.load_state_dict(start | dict(tensors), strict=True)
    except RuntimeError as error:
        raise InputError(
            f"{source.name} does not hold the tensors of this network and its classes."
        ) from error


@follow.register
def _basic_block(module: BasicBlock, features: Tensor) -> Followed:
    layers = (module.conv1, module.bn1, nn.ReLU(), module.conv2, module.bn2)
    out, pull = chain(layers, features)
    shortcut = nn.Identity() if module.downsample is None else module.downsample
    beside, pull_beside = follow(shortcut, features)
    out, rectified = follow(nn.ReLU(), out + beside)

    def back(gradient: Tensor) -> Tensor:
        gradient = rectified(gradient)
        return pull(gradient) + pull_beside(gradient)

    return out, back
