"""The public endpoint `/predict`: the page's own comparison, as JSON, for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from fer_space.errors import FerSpaceError, InputError
from fer_space.imaging import decode_image
from fer_space.registry import DEFAULT_DETECTOR, DETECTORS
from fer_space.report import comparison_record
from fer_space.ui.compare import MODELS
from fer_space.ui.intake import uploaded_bytes
from fer_space.ui.sitting import NO_BACKBONE, NO_PICTURE, Compare


def predict_endpoint(compare: Compare, backbones: Sequence[str]) -> None:
    """Add the endpoint to the current Blocks, behind components that the page does not show."""

    def predict(image: Mapping[str, Any] | None, backbones: list[str], detector: str) -> dict[str, Any]:
        """Read every face of a picture with the chosen backbones.

        Gives one JSON object: source, width, height and faces, the largest first. Each face has
        box_xyxy, score, landmarks, one answer by backbone, and their consensus. No face found
        is an empty list.
        """
        try:
            return _record(compare, image, backbones, detector)
        except FerSpaceError as error:
            raise gr.Error(str(error), print_exception=False) from error

    image = gr.Image(visible=False, type="filepath", label="image")
    chosen = gr.CheckboxGroup(list(backbones), value=list(backbones), visible=False, label="backbones")
    detector = gr.Radio(list(DETECTORS), value=DEFAULT_DETECTOR, visible=False, label="detector")
    record = gr.JSON(visible=False, label="record")
    gr.Button(visible=False).click(
        predict,
        [image, chosen, detector],
        record,
        api_name="predict",
        preprocess=False,
        concurrency_id=MODELS,
        concurrency_limit=1,
    )


def _record(
    compare: Compare, image: Mapping[str, Any] | None, backbones: list[str], detector: str
) -> dict[str, Any]:
    if not image:
        raise InputError(NO_PICTURE)
    if not backbones:
        raise InputError(NO_BACKBONE)
    if not (isinstance(backbones, list) and all(isinstance(name, str) for name in [*backbones, detector])):
        raise InputError("backbones is a list of names, and detector is one name.")
    picture = decode_image(uploaded_bytes(image))
    height, width = picture.shape[:2]
    return comparison_record(
        "upload", (width, height), compare(picture, backbones=backbones, detector=detector)
    )
