"""The public endpoint `/predict`: the page's own comparison, as JSON, for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from fer_space.comparison import CONSENSUS, PREDICTED, covered_faces
from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.emotions import EMOTIONS
from fer_space.errors import FerSpaceError, InputError, UnknownNameError
from fer_space.occlusion import OCCLUSIONS
from fer_space.occlusion.cover import Cover
from fer_space.render.record import comparison_record, covered_record
from fer_space.ui.intake import uploaded_bytes
from fer_space.ui.shared import MODELS
from fer_space.ui.sitting import NO_BACKBONE, NO_PICTURE, Compare
from fer_space.vision.imaging import decode_image

FREE = "none"
EXPLAINED = [FREE, PREDICTED, CONSENSUS, *EMOTIONS]


def predict_endpoint(compare: Compare, backbones: Sequence[str]) -> None:
    """Add the endpoint to the current Blocks, behind components that the page does not show."""

    def predict(
        image: Mapping[str, Any] | None,
        backbones: list[str],
        detector: str,
        occlude: str = FREE,
        explain: str = FREE,
        lift: bool = False,
    ) -> dict[str, Any]:
        """Read every face of a picture with the chosen backbones.

        Gives one JSON object: source, width, height and faces, the largest first. Each face has
        box_xyxy, score, landmarks, one answer by backbone, and their consensus. No face found
        is an empty list. With `occlude` every face is covered as well and read again, which its
        object "occluded" tells. With `explain`, an emotion, "predicted" or "consensus", each face
        has maps too: rows of numbers from 0 to 1 over its crop, which "photo_to_crop" places.
        With `lift` rare emotions are lifted: the second operating point of each backbone.
        """
        try:
            return _record(compare, image, backbones, (detector, occlude, explain), lift)
        except FerSpaceError as error:
            raise gr.Error(str(error), print_exception=False) from error

    image = gr.Image(visible=False, type="filepath", label="image")
    chosen = gr.CheckboxGroup(list(backbones), value=list(backbones), visible=False, label="backbones")
    detector = gr.Radio(list(DETECTORS), value=DEFAULT_DETECTOR, visible=False, label="detector")
    occlude = gr.Radio([FREE, *OCCLUSIONS], value=FREE, visible=False, label="occlude")
    explain = gr.Radio(EXPLAINED, value=FREE, visible=False, label="explain")
    lift = gr.Checkbox(visible=False, label="lift")
    record = gr.JSON(visible=False, label="record")
    gr.Button(visible=False).click(
        predict,
        [image, chosen, detector, occlude, explain, lift],
        record,
        api_name="predict",
        preprocess=False,
        concurrency_id=MODELS,
        concurrency_limit=1,
    )


def _record(
    compare: Compare,
    image: Mapping[str, Any] | None,
    backbones: list[str],
    choices: tuple[str, str, str],
    lift: bool,
) -> dict[str, Any]:
    if not image:
        raise InputError(NO_PICTURE)
    if not backbones:
        raise InputError(NO_BACKBONE)
    names = [*backbones, *choices] if isinstance(backbones, list) else [None]
    if not all(isinstance(name, str) for name in names):
        raise InputError("backbones is a list of names; detector, occlude and explain are one name each.")
    if not isinstance(lift, bool):
        raise InputError("lift is true or false.")
    detector, occlude, explain = choices
    if occlude not in (FREE, *OCCLUSIONS):
        raise UnknownNameError.of("occlusion", occlude, (FREE, *OCCLUSIONS))
    if explain not in EXPLAINED:
        raise UnknownNameError.of("emotion to explain", explain, EXPLAINED)
    target = "" if explain == FREE else explain
    picture = decode_image(uploaded_bytes(image))
    size_wh = (picture.shape[1], picture.shape[0])
    free = compare(picture, backbones=backbones, detector=detector, lift=lift)
    if occlude == FREE:
        return comparison_record("upload", size_wh, free, target)
    faces = [comparison.face for comparison in free]
    hidden = compare(picture, backbones=backbones, faces=faces, cover=Cover(occlude), lift=lift)
    return covered_record("upload", size_wh, covered_faces(free, hidden, occlude), target)
