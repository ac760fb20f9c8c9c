"""Folders as the npm packages hold them: a manifest and the values one after the other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTISED = {"uint8": "<u1", "uint16": "<u2"}


def write_package(
    path: Path,
    arrays: Mapping[str, NDArray[np.float32]],
    stored: str = "float32",
    *,
    graph: bool = False,
    values_name: str = "",
) -> None:
    """Write `path`, a manifest, and the .bin beside it; a graph model holds the manifest in a dictionary."""
    beside = path.with_name(values_name or f"{path.stem}.bin")
    weights, values = [], b""
    for name, array in arrays.items():
        entry: dict[str, Any] = {"name": name, "shape": list(array.shape), "dtype": "float32"}
        if stored == "float32":
            values += array.astype("<f4").tobytes()
        elif stored == "float16":
            entry["quantization"] = {"dtype": stored}
            values += array.astype("<f2").tobytes()
        else:
            low = float(array.min())
            scale = float(array.max() - low) / np.iinfo(stored).max or 1.0
            entry["quantization"] = {"dtype": stored, "scale": scale, "min": low}
            values += ((array - low) / scale).round().astype(QUANTISED[stored]).tobytes()
        weights.append(entry)
    groups = [{"paths": [beside.name], "weights": weights}]
    path.write_text(json.dumps({"weightsManifest": groups} if graph else groups), encoding="utf-8")
    beside.write_bytes(values)


def random_arrays(shapes: Mapping[str, tuple[int, ...]], seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Small random values of these shapes."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0.0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()}
