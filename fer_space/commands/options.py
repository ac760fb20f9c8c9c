"""Options that several commands share."""

import argparse
from collections.abc import Sequence

from fer_space.errors import InputError, WeightsError
from fer_space.registry import look_up
from fer_space.runtime.device import DEVICES


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where the networks run")


def backbone_names(text: str, present: Sequence[str]) -> list[str]:
    """Turn "a,b" or "all" into names.

    Raises UnknownNameError for one that does not exist, WeightsError or InputError when none is left.
    """
    if text == "all":
        if not present:
            raise WeightsError("There are no weights here. Train a backbone and export it.")
        return list(present)
    names = [look_up(name.strip()).name for name in text.split(",") if name.strip()]
    if not names:
        raise InputError(f"“{text}” names no backbone.")
    return list(dict.fromkeys(names))
