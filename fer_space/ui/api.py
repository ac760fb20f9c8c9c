"""The public endpoint `/predict`: the page's own comparison, as JSON, for programs and assistants."""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import gradio as gr

from fer_space.comparison import CONSENSUS, PREDICTED, Comparison, pair
from fer_space.detectors.specs import DEFAULT_DETECTOR, DETECTORS
from fer_space.emotions import EMOTIONS
from fer_space.errors import InputError, UnknownNameError
from fer_space.occlusion import OCCLUSIONS
from fer_space.occlusion.cover import Cover
from fer_space.render.record import comparison_record, covered_record
from fer_space.types import Face
from fer_space.ui.events import MODELS_AT_ONCE, sentence_of, uploaded_bytes
from fer_space.ui.reading import FACES, Runs
from fer_space.ui.session import NO_MODEL, Image, Options
from fer_space.ui.turns import Who

FREE = "none"
EXPLAINED = [FREE, PREDICTED, CONSENSUS, *EMOTIONS]
ONE_EACH = "backbones is a list of names; detector, occlude and explain are one name each."
NO_IMAGE = "Choose a picture first."


def predict_endpoint(runs: Runs, backbones: Sequence[str]) -> None:
    """Add the endpoint to the current Blocks, behind components that the page does not show."""

    def predict(  # noqa: D417  Gradio gives the request itself
        request: gr.Request,
        image: Mapping[str, Any] | None,
        backbones: list[str],
        detector: str,
        occlude: str = FREE,
        explain: str = FREE,
        lift: bool = False,
        ensemble: str = "",
    ) -> dict[str, Any]:
        """Read every face of a picture with the chosen backbones.

        Gives one JSON object: source, width, height and faces, the largest first. Each face has
        box_xyxy, score, landmarks, one answer by backbone, and their consensus. No face found
        is an empty list. With `occlude` every face is covered as well and read again, which its
        object "occluded" tells. With `explain`, an emotion, "predicted" or "consensus", each face
        has maps too: rows of numbers from 0 to 1 over its crop, which "photo_to_crop" places.
        With `lift` rare emotions are boosted: the second operating point of each backbone.
        `ensemble` names the fit by which all backbones become one answer: "ferplus" for everyday
        faces, "posed" for posed ones; it holds where all of its members are chosen.

        Args:
            image: the picture.
            backbones: names of models.
            detector: finds the faces.
            occlude: what covers every face, or none.
            explain: what the maps are about, or none.
            lift: whether rare emotions are boosted.
            ensemble: how the backbones become one answer; without a name as for everyday faces.
        """
        try:
            own = runs.of(Who.of(request))
            return _record(own, image, _options(backbones, detector, lift, ensemble), occlude, explain)
        except Exception as error:
            raise gr.Error(sentence_of(error), print_exception=False) from error

    image = gr.Image(visible=False, type="filepath", label="image")
    image.api_info()  # which is kept: it is described as a picture,
    image.data_model = None  # type: ignore[assignment]  # and whatever comes reaches `predict`, which says no
    chosen = gr.CheckboxGroup(list(backbones), value=list(backbones), visible=False, label="backbones")
    detector = gr.Radio(list(DETECTORS), value=DEFAULT_DETECTOR, visible=False, label="detector")
    occlude = gr.Radio([FREE, *OCCLUSIONS], value=FREE, visible=False, label="occlude")
    explain = gr.Radio(EXPLAINED, value=FREE, visible=False, label="explain")
    lift = gr.Checkbox(visible=False, label="lift")
    ensemble = gr.Textbox("", visible=False, label="ensemble")
    record = gr.JSON(visible=False, label="record")
    gr.Button(visible=False).click(
        predict,
        [image, chosen, detector, occlude, explain, lift, ensemble],
        record,
        api_name="predict",
        preprocess=False,
        concurrency_id="models",
        concurrency_limit=MODELS_AT_ONCE,
    )


def read_all(
    runs: Runs,
    image: Image,
    options: Options,
    faces: Sequence[Face],
    covers: Sequence[Cover | None] = (None,),
) -> list[list[Comparison]]:
    """Read all faces of a picture to the end, once with each cover; None is the free face."""
    if not faces:
        return [[] for _ in covers]
    steps = runs.steps(image, options, faces, covers)
    models = len(options.backbones)
    return [
        runs.together(faces, [readings for _, readings in islice(steps, models)], options.ensemble)
        for _ in covers
    ]


def _options(backbones: object, detector: object, lift: object, ensemble: object) -> Options:
    if not backbones:
        raise InputError(NO_MODEL)
    if not (isinstance(backbones, list) and all(isinstance(name, str) for name in [*backbones, detector])):
        raise InputError(ONE_EACH)
    if not isinstance(lift, bool):
        raise InputError("lift is true or false.")
    if not isinstance(ensemble, str):
        raise InputError("ensemble is one name.")
    return Options(tuple(backbones), str(detector), boost_rare=lift, ensemble=ensemble)


def _record(
    runs: Runs, image: Mapping[str, Any] | None, options: Options, occlude: object, explain: object
) -> dict[str, Any]:
    if not image:
        raise InputError(NO_IMAGE)
    if not (isinstance(occlude, str) and isinstance(explain, str)):
        raise InputError(ONE_EACH)
    if occlude not in (FREE, *OCCLUSIONS):
        raise UnknownNameError.of("occlusion", occlude, (FREE, *OCCLUSIONS))
    if explain not in EXPLAINED:
        raise UnknownNameError.of("emotion to explain", explain, EXPLAINED)
    target = "" if explain == FREE else explain
    picture = runs.decode(uploaded_bytes(image))
    size_wh = (picture.shape[1], picture.shape[0])
    faces = runs.find(picture, options.detector)[:FACES]
    if occlude == FREE:
        (free,) = read_all(runs, picture, options, faces)
        return comparison_record("upload", size_wh, free, target)
    free, hidden = read_all(runs, picture, options, faces, (None, Cover(occlude)))
    return covered_record("upload", size_wh, pair(free, hidden, occlude), target)
