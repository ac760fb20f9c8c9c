"""`fer-space export`: copy a finished run, or its authors' checkpoint, into a folder of weights."""

import argparse
from pathlib import Path

from fer_space.card import WEIGHTS_DIR
from fer_space.errors import InputError
from fer_space.external.official import OFFICIALS
from fer_space.training.export import export, export_official


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "run", type=Path, metavar="RUN", help="what `fer-space train --out` wrote, or a checkpoint"
    )
    parser.add_argument(
        "--official",
        choices=OFFICIALS,
        help="RUN is a .safetensors file of this network's authors; use it by FER_SPACE_OWN",
    )
    parser.add_argument("folder", type=Path, nargs="?", default=WEIGHTS_DIR, help="default: weights/")
    storing = parser.add_mutually_exclusive_group()
    storing.add_argument(
        "--check",
        default="",
        metavar="KIND:PATH",
        help="keep fp32 if fp16 moves accuracy on its valid faces by more than .05 point",
    )
    parser.add_argument(
        "--affect", default="", metavar="KIND:PATH", help="fit valence and arousal on its valid faces too"
    )
    parser.add_argument("--name", default="", help="of the exported model; default: the backbone's")
    parser.add_argument("--force", action="store_true", help="replace a model of that name in the folder")
    storing.add_argument("--full", action="store_true", help="keep fp32 instead of fp16")


def run(args: argparse.Namespace) -> int:
    """Copy weights and card."""
    if args.official and (args.check or args.affect):
        raise InputError("--official copies a checkpoint as it is: leave out --check and --affect.")
    if args.official:
        card = export_official(args.run, args.folder, args.official, name=args.name, force=args.force)
        print(f"{card.name}: weights and card are in {args.folder}")
        return 0
    card = export(
        args.run,
        args.folder,
        name=args.name,
        half=not args.full,
        check=args.check,
        affect=args.affect,
        force=args.force,
    )
    print(f"{card.name}: weights and card are in {args.folder}")
    if card.validation is not None and (reached := card.validation.affect):
        print(
            f"  on held-out faces CCC {reached.ccc_valence:.3f} for valence, "
            f"{reached.ccc_arousal:.3f} for arousal"
        )
    if card.validation is not None and (effect := card.validation.fp16):
        print(
            f"  valid accuracy in fp32 {effect.accuracy_full:.2%}, in fp16 {effect.accuracy_half:.2%}; "
            f"{effect.changed_answers} of {effect.n} answers differ; kept {effect.kept}"
        )
    return 0
