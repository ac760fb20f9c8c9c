"""Options that several commands share, and how those end that go on after a failure."""

import argparse

from fer_space.errors import InputError, WeightsError
from fer_space.registry import Registry
from fer_space.runtime.device import DEVICES, RUNTIMES


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", choices=DEVICES, default="auto", help="where the networks run")


def add_runtime(parser: argparse.ArgumentParser) -> None:
    """Add --runtime."""
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        help="what computes the networks; auto is OpenVINO on a CPU for those that have been converted",
    )


def add_boost_rare(parser: argparse.ArgumentParser) -> None:
    """Add --boost-rare, which was called --lift."""
    parser.add_argument(
        "--boost-rare",
        "--lift",
        action="store_true",
        help="boost rare emotions: the second operating point of each backbone",
    )


def backbone_names(text: str, registry: Registry) -> list[str]:
    """Turn "a,b" or "all" into names of models.

    Args:
        text: names with commas between them; "all" takes all that can be loaded now.
        registry: what models exist.

    Raises:
        UnknownNameError: one of them does not exist.
        WeightsError, InputError: none is left.
    """
    if text == "all":
        if not registry.names():
            raise WeightsError("There are no weights here. Train a backbone and export it.")
        return list(registry.names())
    named = [name.strip() for name in text.split(",") if name.strip()]
    names = [source.name for source in registry.sources(named)]
    if not names:
        raise InputError(f"“{text}” names no backbone.")
    return list(dict.fromkeys(names))


def exit_status(failed: int, asked: int) -> int:
    """Tell the shell how much of the work failed.

    Args:
        failed: how many pictures or models could not be read.
        asked: of how many.

    Returns:
        0 if none failed, 1 if some did, 2 if all did.

    Example:
        >>> [exit_status(0, 3), exit_status(1, 3), exit_status(3, 3)]
        [0, 1, 2]
    """
    return 0 if not failed else 1 if failed < asked else 2
