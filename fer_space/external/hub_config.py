"""What the configuration files of a Hub repository say of its labels and its input."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from fer_space.emotions import canonical
from fer_space.errors import DataError, SourceError
from fer_space.vision.preprocess import Preprocess

LARGEST = 1024  # side in pixels of what a network may see


def labels_of(config: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The emotions in the order of the outputs, by the names in "id2label".

    Raises:
        SourceError: there are no such names, one is no emotion, or two are the same.
    """
    named = config.get("id2label")
    if not isinstance(named, dict) or not named:
        raise SourceError(f"{where} does not name its labels (id2label).")
    try:
        labels = tuple(canonical(str(named[str(i)])) for i in range(len(named)))
    except KeyError as error:
        raise SourceError(f"{where} does not number its labels from 0 (id2label).") from error
    except DataError as error:
        raise SourceError(f"{where} cannot be read as a facial-expression model: {error}") from error
    if len(set(labels)) < len(labels):
        raise SourceError(f"{where} names an emotion twice: {', '.join(labels)}.")
    return labels


def preprocess_of(preprocessor: Mapping[str, Any], where: str) -> Preprocess:
    """How a face crop becomes the input: the whole crop at the size that the network sees, in colour.

    Raises:
        SourceError: the size or the normalisation is missing or of a kind not known here.
    """
    factor = preprocessor.get("rescale_factor", 1 / 255)
    known = isinstance(factor, int | float) and abs(factor - 1 / 255) <= 1e-6
    if not preprocessor.get("do_rescale", True) or not known:
        raise SourceError(f"{where} does not take colours from 0 to 1, as models here do.")
    size = _side(preprocessor, where)
    if not preprocessor.get("do_normalize", True):
        return Preprocess(size, size, gray=False, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    mean, std = (_three(preprocessor.get(key), where) for key in ("image_mean", "image_std"))
    if min(std) <= 0.0:
        raise SourceError(f"{where} divides its pictures by something that is not positive.")
    return Preprocess(size, size, gray=False, mean=mean, std=std)


def _side(preprocessor: Mapping[str, Any], where: str) -> int:
    """The side in pixels of what the network sees: of the centre crop where there is one."""
    size = preprocessor.get("size")
    if preprocessor.get("do_center_crop") and "crop_size" in preprocessor:
        size = preprocessor["crop_size"]
    sides = list(size.values()) if isinstance(size, dict) else [size]
    side = sides[0] if sides and all(other == sides[0] for other in sides) else None
    if not isinstance(side, int) or not 1 <= side <= LARGEST:
        raise SourceError(f"{where} does not say that its pictures are squares, and of what size.")
    return side


def _three(values: Any, where: str) -> tuple[float, float, float]:
    known = isinstance(values, list) and len(values) == 3
    if not known or not all(isinstance(v, int | float) and isfinite(v) for v in values):
        raise SourceError(f"{where} does not say how its pictures are normalised.")
    red, green, blue = values
    return float(red), float(green), float(blue)
