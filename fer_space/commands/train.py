"""`fer-space train`: every field of `TrainConfig` is an option, and its description is the help."""

import argparse
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from fer_space.commands.options import add_device
from fer_space.training.config import TrainConfig, bounds_of
from fer_space.training.trainer import Trainer


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    add_fields(parser)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where the run is written")
    parser.add_argument("--resume", action="store_true", help="continue a run that was cut off")
    add_device(parser)
    parser.add_argument("--stop-after", type=int, default=0, metavar="EPOCH", help="end early; default: no")


def add_fields(parser: argparse.ArgumentParser) -> None:
    """Add an option for every field of `TrainConfig`."""
    for name, field in TrainConfig.model_fields.items():
        flag, meaning = f"--{name.replace('_', '-')}", _help(name)
        if isinstance(field.default, bool):
            boolean = argparse.BooleanOptionalAction
            parser.add_argument(flag, action=boolean, default=field.default, help=meaning)
            continue
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else None
        kind: Any = str if choices or field.is_required() else type(field.default)
        default = None if field.is_required() else field.default
        parser.add_argument(
            flag, type=kind, choices=choices, required=field.is_required(), default=default, help=meaning
        )


def config_of(args: argparse.Namespace) -> TrainConfig:
    """Read the config out of the options of `add_fields`."""
    return TrainConfig(**{name: getattr(args, name) for name in TrainConfig.model_fields})


def run(args: argparse.Namespace) -> int:
    """Train and leave config.json, history.csv, last.pt, best.safetensors and card.json in --out."""
    config = config_of(args)
    Trainer(config, args.out, device=args.device, resume=args.resume, stop_after=args.stop_after).run()
    return 0


def _help(name: str) -> str:
    """What a field means, its range and its default, for argparse, to which % is a sign."""
    field, (low, high) = TrainConfig.model_fields[name], bounds_of(name)
    notes = [] if low is None else [f"{low:g} to {high:g}"]
    notes += [] if field.is_required() or field.default == "" else [f"default: {field.default}"]
    meaning = f"{field.description} ({'; '.join(notes)})" if notes else str(field.description)
    return meaning.replace("%", "%%")
