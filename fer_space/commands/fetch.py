"""`fer-space fetch`: the only command that downloads a model, and only when it is asked to."""

import argparse

from fer_space.detectors.insightface_scrfd import fetch_pack


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument("what", choices=["insightface"], help="models for non-commercial research only")


def run(args: argparse.Namespace) -> int:
    """Download the detector's models into InsightFace's own folder."""
    print(f"{args.what}: {fetch_pack()}")
    return 0
