"""The Laboratory tab: two faces mixed as training mixes them, and what the models then say.

It shows the label that training would use beside the answers of the models. Mixing itself is
`fer_space.training.mixing`, reached through `mix_faces` alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
import numpy as np
import torch
from numpy.typing import NDArray

from fer_space.comparison import Comparison
from fer_space.distributions import by_emotion, row_of
from fer_space.emotions import EMOTIONS
from fer_space.render import html
from fer_space.render.html import Drawing
from fer_space.render.overlays import data_uri
from fer_space.training.mixing import MIXES
from fer_space.types import Prediction
from fer_space.ui.api import read_all
from fer_space.ui.events import MODELS, sentence_of
from fer_space.ui.reading import Runs
from fer_space.ui.session import FORGOTTEN, Image, Options, Session, Sessions
from fer_space.ui.sidebar import Example, status_view
from fer_space.vision.imaging import decode_image, resize

SIZE = 224  # pixels of a mixture
KINDS = {
    "Mixup": "mixup",
    "CutMix": "cutmix",
    "SnapMix": "snapmix",
    "Attentive CutMix": "attentive-cutmix",
}
WORDS = {
    "mixup": "Both faces shine through each other; the label mixes in the same shares (Zhang et al. 2018).",
    "cutmix": "A box of the other face lies on yours; its share of the area is its share of the label "
    "(Yun et al. 2019).",
    "snapmix": "A box of the other face, resized, lies on yours; each counts by how much of what matters for "
    "its emotion is left to see (Huang et al. 2021).",
    "attentive-cutmix": "The six patches of the other face that a model looks at most lie on yours "
    "(Walawalkar et al. 2020).",
}
NO_FACE_YET = "Show a face first; then mix it here with another one."
Shown = dict[Any, Any]


@dataclass(frozen=True)
class Bench:
    """The tab's components."""

    tab: gr.Tab
    partner: gr.Radio
    kind: gr.Radio
    again: gr.Button
    shown: gr.HTML


def lay_out_lab(examples: Sequence[Example]) -> Bench:
    """Lay the tab out inside the current Tabs."""
    with gr.Tab("Laboratory", id="lab", elem_classes="fer-tab") as tab:
        with gr.Row(elem_classes="fer-controls"):
            titles = [(example.title, number) for number, example in enumerate(examples)]
            partner = gr.Radio(titles, value=min(1, len(titles) - 1), label="Mixed with", min_width=260)
            kind = gr.Radio(list(KINDS.items()), value="cutmix", label="How", min_width=300)
            again = gr.Button("Another try", min_width=120, elem_classes="fer-again")
        shown = gr.HTML(
            html.render("first", sentence=""),
            js_on_load="fer.live(element, watch)",
            apply_default_css=False,
            elem_id="fer-lab",
        )
    return Bench(tab, partner, kind, again, shown)


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two faces mixed.

    Attributes:
        image_rgb: uint8 (SIZE, SIZE, 3).
        target: float64 (8,), the label that training would use; rows of SnapMix need not sum to 1.
    """

    image_rgb: Image
    target: NDArray[np.float64]


def largest_face(runs: Runs, example: Example, options: Options) -> Comparison:
    """Read the largest face of an example."""
    image = decode_image(example.file.read_bytes())
    faces = runs.find(image, options.detector)
    ((comparison,),) = read_all(runs, image, options, faces[:1])
    return comparison


def mix_faces(kind: str, own: Comparison, other: Comparison, seed: int) -> Mixture:
    """Mix two faces as training does, their labels being what all models say of them.

    Args:
        kind: a name in `fer_space.training.mixing.MIXES`.
        own: the face itself; the maps of the first model that has some steer the ways that need them.
        other: the face that is mixed in.
        seed: of everything that is random.
    """
    mix = MIXES[kind](share=1.0)
    params = mix.sample(1, SIZE, torch.Generator().manual_seed(seed))
    mixed, targets = mix.apply(
        *(_picture(own), _target(own)), *(_picture(other), _target(other)), params, _map(own), _map(other)
    )
    pixels = mixed[0].permute(1, 2, 0).clamp(0.0, 255.0).round().to(torch.uint8).numpy()
    return Mixture(pixels, targets[0].double().numpy())


class Lab:
    """The tab's events; they hold nothing of a visitor, only what was read of the examples.

    Args:
        bench: the tab's components.
        runs: what runs the models.
        sessions: the pages that are open.
        drawing: what every drawing shares.
        examples: pictures to mix with.
        partners: their largest faces by number, as far as they have been read, rare emotions boosted.
    """

    def __init__(
        self,
        bench: Bench,
        runs: Runs,
        sessions: Sessions,
        drawing: Drawing,
        examples: Sequence[Example],
        partners: Mapping[int, Comparison] | None = None,
    ) -> None:
        self._bench, self._runs, self._sessions = bench, runs, sessions
        self._drawing, self._examples = drawing, examples
        self._partners = {(number, True): face for number, face in (partners or {}).items()}

    def wire(self, changes: Sequence[Any]) -> None:
        """Wire the events.

        Args:
            changes: events after which something else may be shown, which is then mixed if the tab is open.
        """
        bench = self._bench
        inputs = [bench.partner, bench.kind]
        for event in changes:
            event.then(self.follow, inputs, bench.shown, **MODELS)
        bench.tab.select(self.open, inputs, bench.shown, **MODELS)
        for event in (bench.partner.input, bench.kind.input):
            event(self.mix, inputs, bench.shown, **MODELS)
        bench.again.click(self.mix_again, inputs, bench.shown, **MODELS)

    def open(self, request: gr.Request, partner: int, kind: str) -> Iterator[Shown]:
        """When the tab opens: mix what is shown."""
        yield from self._mix(self._sessions.of(request), partner, kind)

    def follow(self, request: gr.Request, partner: int, kind: str) -> Iterator[Shown]:
        """After another picture, face or reading: mix what is shown, if the tab is open."""
        session = self._sessions.of(request)
        if session.tab == self._bench.tab.id or not session.answer.done:
            yield from self._mix(session, partner, kind)

    def mix(self, request: gr.Request, partner: int, kind: str) -> Iterator[Shown]:
        """Mix the shown face with an example's."""
        yield from self._mix(self._sessions.of(request), partner, kind)

    def mix_again(self, request: gr.Request, partner: int, kind: str) -> Iterator[Shown]:
        """Mix them with other numbers of chance."""
        session = self._sessions.of(request)
        session.seed += 1
        yield from self._mix(session, partner, kind)

    def _mix(self, session: Session, partner: int, kind: str) -> Iterator[Shown]:
        answer, own, options = session.answer, session.shown, session.answer.options
        if own is None or options is None or not answer.done or not self._examples:
            sentence = "" if answer.picture and not answer.problem else NO_FACE_YET  # a face is being read
            lost = answer.problem == FORGOTTEN
            said = html.problem_html(FORGOTTEN) + status_view(session) if lost else ""
            yield {self._bench.shown: said or html.render("first", sentence=sentence)}
            return
        session.mix_job = job = object()
        try:
            runs = self._runs.of(session.who)
            other = self._partner(int(partner) % len(self._examples), options)
            mixture = mix_faces(kind if kind in MIXES else "cutmix", own, other, session.seed)
            predictions = []
            how = {"backbones": options.backbones, "boost_rare": options.boost_rare}
            answers = runs.answers([mixture.image_rgb], **how)
            for name, (row,) in runs.in_turns(answers):
                if session.mix_job is not job or session.answer is not answer:
                    return
                predictions.append(Prediction(name, by_emotion(row), 0.0, 0.0, "circumplex", 0.0))
                yield {
                    self._bench.shown: self._view(
                        own, other, mixture, predictions, kind, len(predictions) == len(options.backbones)
                    )
                }
        except Exception as error:
            yield {self._bench.shown: html.problem_html(sentence_of(error))}

    def _partner(self, number: int, options: Options) -> Comparison:
        """The largest face of an example, read once by each model at each operating point."""
        known = self._partners.get((number, options.boost_rare))
        if known is None or not set(options.backbones) <= {p.backbone for p in known.predictions}:
            # Whatever else one visitor chose is not for all of them.
            same = Options(options.backbones, boost_rare=options.boost_rare)
            known = largest_face(self._runs, self._examples[number], same)
            self._partners[number, options.boost_rare] = known
        chosen = [r for r in known.readings if r.prediction.backbone in options.backbones]
        return self._runs.together([known.face], [[reading] for reading in chosen], options.ensemble)[0]

    def _view(
        self,
        own: Comparison,
        other: Comparison,
        mixture: Mixture,
        predictions: Sequence[Prediction],
        kind: str,
        done: bool,
    ) -> str:
        return html.lab_html(
            [
                ("Your face", data_uri(own.readings[0].crop.image_rgb), own.together),
                ("The other face", data_uri(other.readings[0].crop.image_rgb), other.together),
                ("Mixed", data_uri(mixture.image_rgb), _by_emotion(mixture.target)),
            ],
            predictions,
            self._drawing.looks,
            WORDS.get(kind, ""),
            done=done,
        )


def _by_emotion(target: NDArray[np.float64]) -> Mapping[str, float]:
    return dict(zip(EMOTIONS, target.tolist(), strict=True))


def _picture(comparison: Comparison) -> torch.Tensor:
    """The face as float (1, 3, SIZE, SIZE), values 0 to 255."""
    crop = resize(comparison.readings[0].crop.image_rgb, (SIZE, SIZE))
    return torch.from_numpy(crop).permute(2, 0, 1)[None].float()


def _target(comparison: Comparison) -> torch.Tensor:
    """What all models say of the face, float (1, 8)."""
    return torch.from_numpy(np.nan_to_num(row_of(comparison.together)))[None].float()


def _map(comparison: Comparison) -> torch.Tensor:
    """Where a model looks for the face's emotion, float (1, h, w); empty where none has a map."""
    maps = (reading.explanations.get(comparison.consensus) for reading in comparison.readings)
    found = next((explanation.heatmap for explanation in maps if explanation), np.zeros((7, 7), np.float32))
    return torch.from_numpy(np.ascontiguousarray(found))[None]
