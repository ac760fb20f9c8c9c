"""The one rule for devices and runtimes."""

import importlib.util
import os
from typing import Literal

import torch

from fer_space.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")
RUNTIMES = ("auto", "torch", "openvino")
Runtime = Literal["auto", "torch", "openvino"]
RUNTIME_VARIABLE = "FER_SPACE_RUNTIME"


def resolve_device(name: str = "auto") -> torch.device:
    """Turn a device's name into a device that is here.

    Args:
        name: one of `DEVICES`; "auto" takes CUDA, else MPS, else the CPU.

    Raises:
        InputError: the device that was asked for is not here.

    Example:
        >>> resolve_device("cpu")
        device(type='cpu')
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if name not in DEVICES or not present[name]:
        here = ", ".join(kind for kind in present if present[kind])
        raise InputError(f"There is no device “{name}” on this machine. Here: {here}.")
    return torch.device(name)


def resolve_runtime(name: str = "auto", device: torch.device | str = "cpu") -> Runtime:
    """Choose the runtime of networks on a device.

    Args:
        name: one of `RUNTIMES`. "auto" takes what the environment variable FER_SPACE_RUNTIME says, if it is
            set.
        device: where the networks run.

    Returns:
        "torch"; "openvino", which converts a network before its first face, once on a machine; or "auto",
        which is OpenVINO for networks that have been converted and torch for others. It is "torch" where
        OpenVINO is not installed or does not run, as on a GPU.

    Raises:
        InputError: the runtime is unknown, not installed, or not for this device.

    Example:
        >>> resolve_runtime("torch")
        'torch'
    """
    kind = torch.device(device).type
    installed = importlib.util.find_spec("openvino") is not None
    if name == "auto":
        name = os.environ.get(RUNTIME_VARIABLE) or "auto"
    if name == "torch":
        return "torch"
    if name == "auto":
        return "auto" if kind == "cpu" and installed else "torch"
    if name != "openvino":
        raise InputError(f"There is no runtime “{name}”. There are: {', '.join(RUNTIMES)}.")
    if kind != "cpu":
        raise InputError(f"OpenVINO runs networks on the CPU here, not on {kind}: take the runtime torch.")
    if not installed:
        raise InputError("OpenVINO is not installed: pip install openvino, or take the runtime torch.")
    return "openvino"
