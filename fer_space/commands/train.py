"""`fer-space train`: every field of `TrainConfig` is an option."""

import argparse
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from fer_space.commands.options import add_device
from fer_space.training.config import TrainConfig
from fer_space.training.run import run as run_training


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    for field in fields(TrainConfig):
        flag = f"--{field.name.replace('_', '-')}"
        if isinstance(field.default, bool):
            parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=field.default)
            continue
        required = field.default is MISSING
        choices = get_args(field.type) if get_origin(field.type) is Literal else None
        kind: Any = str if choices or required else type(field.default)
        parser.add_argument(
            flag,
            type=kind,
            choices=choices,
            required=required,
            default=None if required else field.default,
            help=None if required else f"default: {field.default}",
        )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is written")
    parser.add_argument("--resume", action="store_true", help="continue a run that was cut off")
    add_device(parser)
    parser.add_argument("--stop-after", type=int, default=0, metavar="EPOCH", help="end early; default: no")


def run(args: argparse.Namespace) -> int:
    """Train and leave config.json, history.csv, last.pt, best.safetensors and card.json in --out."""
    values = {field.name: getattr(args, field.name) for field in fields(TrainConfig)}
    config = TrainConfig(**values)
    run_training(config, args.out, resume=args.resume, stop_after=args.stop_after, device=args.device)
    return 0
