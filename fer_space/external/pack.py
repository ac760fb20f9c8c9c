"""Fetch the pack of models that the opt-in InsightFace detector reads, and check that it is the known one."""

from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from fer_space.errors import MissingDependencyError, SourceError
from fer_space.external.download import download, fetching_into
from fer_space.sources.web import Limits

SOURCE = "https://github.com/deepinsight/insightface/releases/download/v0.7/buffalo_l.zip"
SHA256 = "80ffe37d8a5940d59a7384c201a2a38d4741f2f3c51eef46ebb28218a7b0ca2f"
MAX_BYTES = 300_000_000
# GitHub hands files of a release on to its store.
ALLOWED = (
    "https://github.com/deepinsight/insightface/",
    "https://objects.githubusercontent.com/",
    "https://release-assets.githubusercontent.com/",
)


def fetch_pack(
    folder: Path, *, url: str = SOURCE, sha256: str = SHA256, allowed: tuple[str, ...] = ALLOWED
) -> Path:
    """Download the pack into a folder, unless there are models; returns the folder.

    Args:
        folder: where its .onnx files go; made where it is missing.
        url: of the pack, a zip file of about 280 MB.
        sha256: that it must have, hexadecimal.
        allowed: beginnings of addresses that it may come from.

    Raises:
        MissingDependencyError: InsightFace is not installed, so nothing could read the pack.
        SourceError: it cannot be fetched, or is not the file that is expected; nothing of it is left.
        OutputError: the folder cannot be written.
    """
    if find_spec("insightface") is None:
        raise MissingDependencyError(
            "InsightFace is not installed: requirements-insightface.txt has the commands."
        )
    if any(folder.glob("*.onnx")):
        return folder
    with fetching_into(folder) as place:
        archive = place / "pack.zip"
        download(url, archive, Limits(MAX_BYTES), sha256=sha256, allowed=allowed)
        try:
            _unpack(archive, place, folder)
        except (BadZipFile, OSError) as error:
            raise SourceError(f"The pack cannot be unpacked into “{folder}”: {error}.") from error
    return folder


def _unpack(archive: Path, place: Path, folder: Path) -> None:
    """Unpack the models of an archive, by their last names alone, and move them in when all are there."""
    models = []
    with ZipFile(archive) as pack:
        for member in pack.infolist():
            name = Path(member.filename).name
            if not member.is_dir() and name.endswith(".onnx"):
                models.append(place / name)
                models[-1].write_bytes(pack.read(member))
    for model in models:
        model.replace(folder / model.name)
