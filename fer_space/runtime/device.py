"""The one rule for devices."""

import torch

from fer_space.errors import InputError

DEVICES = ("auto", "cpu", "cuda", "mps")


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
