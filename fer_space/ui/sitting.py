"""What one visitor's page remembers between clicks: in memory, never on disk, never shared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from fer_space.errors import FerSpaceError
from fer_space.imaging import decode_image
from fer_space.render import data_uri, shrink
from fer_space.types import Comparison

Compare = Callable[..., list[Comparison]]

NO_PICTURE = "Choose a picture first: upload one, take one with the camera, paste one, or try an example."
NO_BACKBONE = "Choose at least one model in the settings."
NO_FACE = (
    "No face found. A face should be turned towards the camera, well lit and at least about 40 pixels "
    "high; another detector in the settings may see what this one missed."
)
UNFORESEEN = "Something went wrong on the server. Please try again, or try another picture."


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
    """

    data: bytes = b""
    photo_uri: str = ""
    size_wh: tuple[int, int] = (0, 0)
    comparisons: tuple[Comparison, ...] = ()
    selected: int = 0
    problem: str = ""

    def select(self, index: object) -> "Sitting":
        """Show another face; an index that does not exist changes nothing."""
        if isinstance(index, int) and 0 <= index < len(self.comparisons):
            return replace(self, selected=index)
        return self


def read_picture(compare: Compare, data: bytes, backbones: Sequence[str], detector: str) -> Sitting:
    """Read every face of a picture; whatever goes wrong becomes the sitting's sentence."""
    if not data:
        return Sitting(problem=NO_PICTURE)
    try:
        image = decode_image(data)
    except FerSpaceError as error:
        return Sitting(problem=str(error))
    sitting = Sitting(data, data_uri(shrink(image)), (image.shape[1], image.shape[0]))
    if not backbones:
        return replace(sitting, problem=NO_BACKBONE)
    try:
        comparisons = compare(image, backbones=backbones, detector=detector)
    except FerSpaceError as error:
        return replace(sitting, problem=str(error))
    return replace(sitting, comparisons=tuple(comparisons), problem="" if comparisons else NO_FACE)
