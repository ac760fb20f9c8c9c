"""`fer-space train`: every field of `TrainConfig` is an option, and its docstring is their help."""

import argparse
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from fer_space.commands.options import add_device
from fer_space.training.config import TrainConfig
from fer_space.training.run import run as run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    words = meanings()
    for field in fields(TrainConfig):
        flag, meaning = f"--{field.name.replace('_', '-')}", words.get(field.name, "")
        if isinstance(field.default, bool):
            boolean = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=boolean, default=field.default, help=meaning)
            continue
        required = field.default is MISSING
        choices = get_args(field.type) if get_origin(field.type) is Literal else None
        kind: Any = str if choices or required else type(field.default)
        default = None if required else field.default
        given = f" (default: {default})" if default not in (None, "") else ""
        parser.add_argument(
            flag, type=kind, choices=choices, required=required, default=default, help=meaning + given
        )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is written")
    parser.add_argument("--resume", action="store_true", help="continue a run that was cut off")
    add_device(parser)
    parser.add_argument("--stop-after", type=int, default=0, metavar="EPOCH", help="end early; default: no")


def meanings() -> dict[str, str]:
    """What the docstring of `TrainConfig` says of each field, for argparse, to which % is a sign."""
    described = inspect.getdoc(TrainConfig) or ""
    entries = re.findall(r"^ {4}(\w+): (.+(?:\n {6,}.+)*)", described, re.MULTILINE)
    return {name: " ".join(text.split()).rstrip(".").replace("%", "%%") for name, text in entries}


def run(args: argparse.Namespace) -> int:
    """Train and leave config.json, history.csv, last.pt, best.safetensors and card.json in --out."""
    values = {field.name: getattr(args, field.name) for field in fields(TrainConfig)}
    config = TrainConfig(**values)
    run_training(config, args.out, resume=args.resume, stop_after=args.stop_after, device=args.device)
    return 0
