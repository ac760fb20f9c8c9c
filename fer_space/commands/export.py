"""`fer-space export`: copy a finished run into the folder of weights."""

import argparse
from pathlib import Path

from fer_space.training.finish import export
from fer_space.weights import WEIGHTS_DIR


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("run", type=Path, metavar="RUN", help="folder that `fer-space train --out` wrote")
    parser.add_argument("folder", type=Path, nargs="?", default=WEIGHTS_DIR, help="default: weights/")
    parser.add_argument("--full", action="store_true", help="keep fp32 instead of fp16")


def run(args: argparse.Namespace) -> int:
    """Copy weights and card."""
    card = export(args.run, args.folder, half=not args.full)
    print(f"{card.name}: weights and card are in {args.folder}")
    return 0
