"""The photo with a numbered box on every face, and a strip of faces to choose from."""

from collections.abc import Sequence

from fer_space.comparison import Comparison
from fer_space.render.pictures import data_uri, shrink
from fer_space.types import Face

_THUMB = 96


def photo_html(
    photo_uri: str, size_wh: tuple[int, int], comparisons: Sequence[Comparison], selected: int
) -> str:
    """Build the photo; its boxes and, for more than one face, the strip carry `data-index`.

    Args:
        photo_uri: data URI of the whole picture, at any scale.
        size_wh: width and height of the picture that the boxes are measured in.
        comparisons: its faces.
        selected: index of the face that is being read.
    """
    width, height = size_wh
    shape = f"aspect-ratio:{width}/{height};--ratio:{width / height:.4f}"
    boxes = "".join(_box(i, c.face, size_wh, i == selected) for i, c in enumerate(comparisons))
    strip = _strip(comparisons, selected) if len(comparisons) > 1 else ""
    return (
        f'<figure class="fer-photo"><div class="fer-stage" style="{shape}"><img src="{photo_uri}" '
        f'alt="The picture, {_faces(len(comparisons))}">{boxes}</div>{strip}</figure>'
    )


def _faces(number: int) -> str:
    return {0: "no face marked", 1: "one face found"}.get(number, f"{number} faces found")


def _box(index: int, face: Face, size_wh: tuple[int, int], chosen: bool) -> str:
    width, height = size_wh
    left, top, right, bottom = face.box_xyxy
    style = (
        f"left:{100 * left / width:.2f}%;top:{100 * top / height:.2f}%;"
        f"width:{100 * (right - left) / width:.2f}%;height:{100 * (bottom - top) / height:.2f}%"
    )
    return (
        f'<button type="button" class="fer-box" tabindex="-1" aria-hidden="true" data-index="{index}" '
        f'data-chosen="{str(chosen).lower()}" style="{style}"><span>{index + 1}</span></button>'
    )


def _strip(comparisons: Sequence[Comparison], selected: int) -> str:
    chips = "".join(_chip(i, c, i == selected) for i, c in enumerate(comparisons))
    return f'<div class="fer-strip" role="group" aria-label="Choose a face">{chips}</div>'


def _chip(index: int, comparison: Comparison, chosen: bool) -> str:
    thumb = data_uri(shrink(comparison.readings[0].crop.image_rgb, _THUMB), quality=80)
    emotion = comparison.consensus.capitalize()
    return (
        f'<button type="button" class="fer-face" data-index="{index}" aria-pressed="{str(chosen).lower()}" '
        f'aria-label="Face {index + 1}: {emotion}"><img src="{thumb}" alt="">'
        f"<span>{index + 1} · {emotion}</span></button>"
    )
