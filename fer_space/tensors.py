"""Tensors of a network in a file and back: safetensors alone, nothing is ever unpickled."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import init
from torch.overrides import TorchFunctionMode

from fer_space.errors import WeightsError
from fer_space.files import replacing, sha256_of

# One line that a person runs on a file which we do not open: `weights_only=True` refuses code.
CONVERT = (
    "{name} is not a .safetensors file, and a pickle can run code, so it is not opened here. Convert it "
    'once: python -c "import torch; from safetensors.torch import save_file; '
    "d = torch.load('{name}', map_location='cpu', weights_only=True); "
    "d = d.get('model_state_dict', d.get('state_dict', d)); "
    "save_file({{k: v.clone().contiguous() for k, v in d.items()}}, '{stem}.safetensors')\""
)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read every tensor of a .safetensors file, floats widened to float32.

    Raises:
        WeightsError: the file is missing or damaged, holds numbers that are not finite, or has another
            ending: then the message says how to convert it.
    """
    if not path.is_dir() and path.suffix != ".safetensors":
        raise WeightsError(CONVERT.format(name=path.name, stem=path.name.removesuffix(path.suffix)))
    try:
        tensors = {name: _widened(tensor) for name, tensor in load_file(path).items()}
    except (OSError, RuntimeError, SafetensorError) as error:
        raise WeightsError(f"{path.name} cannot be read as safetensors.") from error
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise WeightsError(f"{path.name} holds numbers that are not finite ({name}).")
    return tensors


def fill(network: nn.Module, path: Path) -> None:
    """Fill a network from a .safetensors file, tensor by tensor.

    Raises:
        WeightsError: its tensors are not exactly those of the network, or `load_tensors` fails.
    """
    try:
        network.load_state_dict(load_tensors(path), strict=True)
    except RuntimeError as error:
        raise WeightsError(f"{path.name} does not hold the tensors of this network.") from error


class Unfilled(TorchFunctionMode):
    """Builds networks without drawing their random weights, which `fill` replaces.

    Drawing them takes longer than reading a file.

    Example:
        >>> with Unfilled():
        ...     layer = nn.Linear(2, 2)  # holds whatever was in memory
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Leave a tensor as it is where it would be drawn."""
        kwargs = kwargs or {}
        if func in _DRAWS:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


# Not the methods of tensors: `trunc_normal_` draws with them until what it has drawn lies in its bounds.
_DRAWS = (init.uniform_, init.normal_, init.kaiming_uniform_)


def save_tensors(tensors: Mapping[str, Tensor], path: Path, *, half: bool) -> str:
    """Write tensors as `stored` has them.

    Returns:
        The file's sha256, hexadecimal.
    """
    packed = {name: tensor.contiguous().cpu() for name, tensor in stored(tensors, half=half).items()}
    with replacing(path) as temporary:
        save_file(packed, temporary)
    return sha256_of(path)


def stored(tensors: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
    """Convert tensors to what a file holds: fp32, or weights in fp16 if `half`.

    Vectors stay in fp32: they cost nothing, and a running variance may be too large for fp16.
    """
    return {name: _narrowed(tensor) if half else _widened(tensor) for name, tensor in tensors.items()}


def _narrowed(tensor: Tensor) -> Tensor:
    fits = (
        tensor.is_floating_point() and tensor.ndim > 1 and tensor.abs().max() <= torch.finfo(torch.half).max
    )
    return tensor.half() if fits else _widened(tensor)


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
