"""`fer-space fetch`: the only command that downloads a model, and only when it is asked to.

The page does the same at its start for what the variable FER_SPACE_FETCH lists.
"""

import argparse
from collections.abc import Iterator

from fer_space.detectors.insightface_scrfd import pack_folder
from fer_space.errors import FerSpaceError
from fer_space.external.fetch import fetch
from fer_space.external.pack import fetch_pack
from fer_space.external.specs import HUB, MANIFEST

DETECTOR = "insightface"
VARIABLE = "FER_SPACE_FETCH"


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
    print(bring(args.what))
    return 0


def bring(name: str) -> str:
    """Fetch a detector or a model and say what came.

    Raises:
        UnknownNameError, MissingDependencyError, SourceError: see the message; nothing is left behind.
    """
    if name == DETECTOR:
        return f"{name}: {fetch_pack(pack_folder())}"
    receipt = fetch(name)
    size = sum(path.stat().st_size for path in receipt.paths.values())
    return (
        f"{receipt.spec.name}: {size / 1e6:.1f} MB, sha256 {receipt.weights_sha256}\n"
        f"licence: {receipt.spec.licence}"
    )


def bring_all(names: str) -> Iterator[str]:
    """Fetch what a variable of the environment lists, separated by commas, at the start of the page.

    Yields:
        What came of each, or why it did not: the page then opens without it.
    """
    for name in filter(None, map(str.strip, names.split(","))):
        try:
            yield bring(name)
        except FerSpaceError as error:
            yield f"{name} is not offered: {error}"
