"""`fer-space fetch`: the only command that downloads a model, and only when it is asked to."""

import argparse

from fer_space.detectors.insightface_scrfd import pack_folder
from fer_space.external.fetch import fetch
from fer_space.external.pack import fetch_pack
from fer_space.external.specs import HUB, MANIFEST

DETECTOR = "insightface"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of this command."""
    parser.add_argument(
        "what",
        metavar="NAME",
        help=f"{', '.join([DETECTOR, *MANIFEST])}, or {HUB}OWNER/REPO for another classifier of the Hub; "
        "most are for non-commercial research only",
    )


def run(args: argparse.Namespace) -> int:
    """Download a detector into its library's own folder, or an external model into the Hub cache."""
    if args.what == DETECTOR:
        print(f"{args.what}: {fetch_pack(pack_folder())}")
        return 0
    receipt = fetch(args.what)
    size = sum(path.stat().st_size for path in receipt.paths.values())
    print(f"{receipt.spec.name}: {size / 1e6:.1f} MB, sha256 {receipt.weights_sha256}")
    print(f"licence: {receipt.spec.licence}")
    return 0
