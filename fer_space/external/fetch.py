"""Fetch an external model by name: the only thing here that opens a connection."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from fer_space.errors import MissingDependencyError, UnknownNameError, WeightsError
from fer_space.external.cache import Receipt, earlier_receipt, home, receipt_of, receipt_path, stem_of
from fer_space.external.download import ALLOWED, Limits, download
from fer_space.external.hub import fetch_repo
from fer_space.external.specs import HUB, MANIFEST, ExternalSpec

_REPO = re.compile(r"[\w.-]+/[\w.-]+")


def fetch(name: str, *, allowed: Sequence[str] = ALLOWED, endpoint: str | None = None) -> Receipt:
    """Bring a model into the cache, unless it is there and unchanged.

    Args:
        name: in `MANIFEST`, or "hub:OWNER/REPO" for any image classifier of the Hub.
        allowed: beginnings of addresses that a file may come from.
        endpoint: of the Hub; None takes the one that its client is set to.

    Raises:
        UnknownNameError: there is no such model.
        SourceError: it cannot be fetched; nothing of it is left.
    """
    known = MANIFEST.get(name)
    if known is None and not (name.startswith(HUB) and _REPO.fullmatch(name.removeprefix(HUB))):
        raise UnknownNameError.of("model to fetch", name, [*MANIFEST, f"{HUB}OWNER/REPO"])
    earlier = earlier_receipt(receipt_path(name))
    spec = known or (earlier.spec if earlier else None)
    receipt = _here(spec) if spec else None
    if receipt is None:
        if known and known.kind == "onnx":
            receipt = _fetch_file(known, allowed)
        else:
            receipt = fetch_repo(name.removeprefix(HUB), known, endpoint)
        receipt.write()
    return receipt


def _here(spec: ExternalSpec) -> Receipt | None:
    """The receipt of a model whose files are here as they were fetched, and as the manifest wants them."""
    try:
        receipt = receipt_of(spec)
        receipt.verified()
    except (MissingDependencyError, WeightsError):
        return None
    wanted = not spec.sha256 or spec.sha256 in receipt.sha256.values()
    return receipt if wanted else None


def _fetch_file(spec: ExternalSpec, allowed: Sequence[str]) -> Receipt:
    """Download a file; where the manifest knows no sha256, an earlier fetch tells it."""
    file = f"{stem_of(spec.name)}.onnx"
    earlier = earlier_receipt(receipt_path(spec.name))
    expected = spec.sha256 or (earlier.sha256.get(file, "") if earlier else "")
    limits = Limits(spec.max_bytes)
    digest = download(spec.source, home() / file, limits, sha256=expected, allowed=allowed)
    return Receipt(spec, "", {file: digest}, datetime.now(UTC).date().isoformat())
