"""What one visitor's page remembers between clicks: in memory, never on disk, never shared."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fer_space.comparison import Comparison
from fer_space.detectors.specs import DEFAULT_DETECTOR
from fer_space.errors import FerSpaceError
from fer_space.explain.gradcam import METHOD
from fer_space.occlusion.cover import Cover
from fer_space.render import data_uri, shrink
from fer_space.types import Face
from fer_space.vision.imaging import decode_image

Image = NDArray[np.uint8]
Compare = Callable[..., list[Comparison]]
Each = Callable[[Sequence[str]], Iterable[str]]

NO_PICTURE = "Choose a picture first: upload one, take one with the camera, paste one, or try an example."
NO_BACKBONE = "Choose at least one model in the settings."
NO_FACE = (
    "No face found. A face should be turned towards the camera, well lit and at least about 40 pixels "
    "high; another detector may see what this one missed, or you can place the box by hand."
)
UNFORESEEN = "Something went wrong on the server. Please try again, or try another picture."


class Asked(NamedTuple):
    """What a visitor asks of the engine: names of backbones, of a detector and of a method for maps.

    `lift` asks for the operating point that favours rare emotions.
    """

    backbones: Sequence[str]
    detector: str = DEFAULT_DETECTOR
    method: str = METHOD
    lift: bool = False


@dataclass(frozen=True)
class Sitting:
    """One picture and what was read from it.

    Attributes:
        data: the picture's file as it was handed in, so that other settings can read it again.
        photo_uri: the picture for display, or "" without one.
        size_wh: its width and height in pixels.
        comparisons: its faces, the largest first.
        selected: index of the face that is shown.
        problem: a sentence that says why there is nothing to show, or "".
        method: how the maps were made.
        lift: whether rare emotions were lifted.
        placed: the face that was placed by hand, or None where a detector looked.
    """

    data: bytes = b""
    photo_uri: str = ""
    size_wh: tuple[int, int] = (0, 0)
    comparisons: tuple[Comparison, ...] = ()
    selected: int = 0
    problem: str = ""
    method: str = METHOD
    lift: bool = False
    placed: Face | None = None

    def select(self, index: object) -> "Sitting":
        """Show another face; an index that does not exist changes nothing."""
        if isinstance(index, int) and 0 <= index < len(self.comparisons):
            return replace(self, selected=index)
        return self

    @property
    def image(self) -> Image:
        """The picture, uint8 RGB (H, W, 3)."""
        return decode_image(self.data)

    @property
    def faces(self) -> tuple[Face, ...]:
        """Where the faces are."""
        return tuple(comparison.face for comparison in self.comparisons)

    @property
    def shown(self) -> Comparison:
        """The selected face; there must be one."""
        return self.comparisons[self.selected]

    @property
    def asked(self) -> Asked:
        """What was asked to read it, without the detector."""
        return Asked([p.backbone for p in self.shown.predictions], method=self.method, lift=self.lift)


def read_picture(
    compare: Compare, data: bytes, asked: Asked, placed: Face | None = None, each: Each = iter
) -> Sitting:
    """Read every face of a picture; whatever goes wrong becomes the sitting's sentence.

    Args:
        compare: `Engine.compare`, or what stands in for it.
        data: the picture's file.
        asked: by what it is read.
        placed: the only face, where a visitor placed it.
        each: goes through the backbones and may show how far it is.
    """
    if not data:
        return Sitting(problem=NO_PICTURE)
    try:
        image = decode_image(data)
    except FerSpaceError as error:
        return Sitting(problem=str(error))
    photo_uri, size_wh = data_uri(shrink(image)), (image.shape[1], image.shape[0])
    sitting = Sitting(data, photo_uri, size_wh, method=asked.method, lift=asked.lift, placed=placed)
    if not asked.backbones:
        return replace(sitting, problem=NO_BACKBONE)
    try:
        found = read_faces(compare, image, asked, None if placed is None else [placed], each=each)
    except FerSpaceError as error:
        return replace(sitting, problem=str(error))
    return replace(sitting, comparisons=tuple(found), problem="" if found else NO_FACE)


def read_faces(
    compare: Compare,
    image: Image,
    asked: Asked,
    faces: Sequence[Face] | None,
    cover: Cover | None = None,
    each: Each = iter,
) -> list[Comparison]:
    """Read the faces of a picture, one backbone after the other where the maps are slow to make."""
    rest: dict[str, Any] = {"detector": asked.detector, "cover": cover, "lift": asked.lift}
    if asked.method == METHOD:
        return compare(image, backbones=asked.backbones, faces=faces, **rest)
    columns = []
    for name in each(asked.backbones):
        column = compare(image, backbones=[name], faces=faces, method=asked.method, **rest)
        faces = [comparison.face for comparison in column]
        columns.append(column)
    return [
        Comparison(
            row[0].face,
            tuple(comparison.readings[0] for comparison in row),
            sum((comparison.weights for comparison in row), ()),
        )
        for row in zip(*columns, strict=True)
    ]
