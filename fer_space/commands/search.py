"""`fer-space search`: try settings of a training, and keep those that validate best."""

import argparse
from pathlib import Path

from fer_space.commands.options import add_device
from fer_space.commands.train import add_fields, config_of
from fer_space.training.search import BEST, TABLE, best_command, search


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of training, which all trials share, and what is tried."""
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="FIELD=VALUES",
        help="what is tried: FIELD=LOW..HIGH, FIELD=log:LOW..HIGH or FIELD=A,B; may be given several times",
    )
    parser.add_argument("--trials", type=int, default=20, help="how many in all (default: 20)")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="of the search; one that is there is continued"
    )
    add_device(parser)
    add_fields(parser)


def run(args: argparse.Namespace) -> int:
    """Run the trials; leave study.sqlite3, trials.csv, best.json and a folder a trial in --out."""
    best = search(config_of(args), args.vary, args.out, trials=args.trials, device=args.device)
    print((args.out / TABLE).read_text(encoding="utf-8"), end="")
    print(f"{args.out / BEST}\n{best_command(best, args.out)}")
    return 0
