"""Words and numbers for people: how a model is named, what the models say together, what a cover changes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from fer_space.comparison import Change, Comparison, Covered
from fer_space.render.colours import ink_on
from fer_space.types import Prediction

NARROW_SPACE = "\u202f"
# Of FERPlus validation faces with a label, nineteen of twenty are surer (benchmarks/people.py).
UNSURE_BELOW = 0.5
# Probability of the answer of all together, and the share of FERPlus's taggers who say the same (there, too).
_TAGGERS = ((0.43, 0.55, 0.65, 0.75, 0.85, 0.94, 0.99), (0.36, 0.46, 0.54, 0.63, 0.70, 0.79, 0.93))
DISPUTED_BELOW = 0.9
STILL_BELOW = 0.05  # a smaller movement on the circumplex is not worth a word
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_RULES = {
    "fitted mean": "a weighted average of the models, fitted once on validation faces",
    "mean": "the plain average of the models",
}


@dataclass(frozen=True)
class Look:
    """A model as a reader sees it.

    Attributes:
        title: its name in prose.
        colour: "#rrggbb" that marks it, of its entry in the registry.
        parameters: how many numbers it learned.
        accuracy: on the test faces of FERPlus, in [0, 1], or None where it was not measured.
        boosted: the same with rare emotions boosted.
        masked: the same with a surgical mask drawn on every face.
        licence: what one may do with it.
        data: what it was trained on.
    """

    title: str
    colour: str
    parameters: int
    accuracy: float | None = None
    boosted: float | None = None
    masked: float | None = None
    licence: str = ""
    data: str = ""

    @property
    def ink(self) -> str:
        """Black or white, whichever can be read better on `colour`."""
        return ink_on(self.colour)


Looks = Mapping[str, Look]
_FITS = {"ferplus": "weighed for everyday faces", "posed": "weighed for posed faces, too"}


def fit_title(name: str) -> str:
    """Say for which faces a fitted ensemble weighs its models."""
    return _FITS.get(name, f"weighed for {name}")


@dataclass(frozen=True)
class Vote:
    """The models whose most probable emotion is this one."""

    emotion: str
    backbones: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What the models say of one face.

    Attributes:
        emotion: the most probable one of all models together.
        confidence: its probability, in [0, 1].
        votes: by emotion, most models first; of equals the one that is more probable together.
        kind: "one" for a single model; "all" when they agree; "most" when more say the emotion than any
            other; "split" on a tie, or when most say another one than all together.
        rule: how the models become one answer, in words.
        asked: how many models were asked; some may have yet to answer.
    """

    emotion: str
    confidence: float
    votes: tuple[Vote, ...]
    kind: Literal["one", "all", "most", "split"]
    rule: str
    asked: int = 0

    @property
    def models(self) -> int:
        """How many models have answered."""
        return sum(len(vote.backbones) for vote in self.votes)

    @property
    def pending(self) -> bool:
        """Whether some models have yet to answer, so that all of this holds so far."""
        return self.models < self.asked

    @property
    def unsure(self) -> bool:
        """Whether the answer is less probable than those of nearly all faces that have a label."""
        return self.confidence < UNSURE_BELOW

    @property
    def plain(self) -> bool:
        """Whether one emotion can stand as the headline: no split, and sure enough."""
        return self.kind != "split" and not self.unsure

    @property
    def tally(self) -> str:
        """The votes in a line: "Happiness 4 · Sadness 4 · Anger 1"."""
        return " · ".join(f"{vote.emotion.capitalize()} {len(vote.backbones)}" for vote in self.votes)

    @property
    def headline(self) -> str:
        """The short answer: the emotion, the tally where the models are split, or that they do not know."""
        if self.kind == "split":
            return self.tally
        if self.unsure:
            if self.pending:
                return "Not clear yet"
            return "The model does not know" if self.kind == "one" else "The models do not know"
        return self.emotion.capitalize()

    @property
    def sentence(self) -> str:
        """Who says so: "All nine models agree", "7 of 9 models say so", "7 of 9 models lean to Fear".

        Where some have yet to answer it begins with how many have: "1 of 9 models so far".
        """
        if not self.pending:
            return self._who
        answered = f"{self.models} of {self.asked} models so far"
        if self.kind == "one" and not self.unsure:
            return answered
        return f"{answered}: {self._who[0].lower()}{self._who[1:]}"

    @property
    def _who(self) -> str:
        emotion = self.emotion.capitalize()
        if self.kind == "split":
            return f"The models are split. Together they lean to {emotion}"
        agreeing = len(self.votes[0].backbones)
        some = f"{agreeing} of {self.models}"
        if self.unsure:
            most = f"{some} {'leans' if agreeing == 1 else 'lean'}"
            who = {"one": "It leans", "all": "All lean"}.get(self.kind, most)
            return f"{who} to {emotion}"
        if self.kind == "one":
            return "One model was asked"
        if self.kind == "all":
            return "Both models agree" if self.models == 2 else f"All {number(self.models)} models agree"
        return f"{some} models {'says' if agreeing == 1 else 'say'} so"

    @property
    def text(self) -> str:
        """The whole verdict in one line, for screen readers, files and the terminal."""
        if not self.plain:
            return f"{self.headline}. {self.sentence}, {percent(self.confidence)}."
        return f"{self.headline}, {percent(self.confidence)} sure. {self.sentence}."

    @property
    def disputed(self) -> str:
        """How many people would say the same, as a sentence; "" where nearly all would."""
        if self.confidence >= DISPUTED_BELOW:
            return ""
        agreeing = round(10 * float(np.interp(self.confidence, *_TAGGERS)))
        return (
            f"People disagree about faces like this, too: of ten, about {number(agreeing)} would say "
            f"{self.emotion.capitalize()}."
        )


def verdict_of(comparison: Comparison) -> Verdict:
    """Sum up what all models say of one face."""
    shares, emotion = comparison.together, comparison.consensus
    by_emotion: dict[str, list[str]] = {}
    for prediction in comparison.predictions:
        by_emotion.setdefault(prediction.label, []).append(prediction.backbone)
    ranked = sorted(by_emotion.items(), key=lambda vote: (-len(vote[1]), -shares.get(vote[0], 0.0)))
    votes = tuple(Vote(name, tuple(backbones)) for name, backbones in ranked)
    tied = len(votes) > 1 and len(votes[0].backbones) == len(votes[1].backbones)
    kind: Literal["one", "all", "most", "split"] = "most"
    if len(comparison.readings) == 1:
        kind = "one"
    elif tied or votes[0].emotion != emotion:
        kind = "split"
    elif len(votes) == 1:
        kind = "all"
    return Verdict(emotion, shares[emotion], votes, kind, _RULES[comparison.rule], comparison.asked)


def covered_sentence(covered: Covered, looks: Looks) -> tuple[str, str]:
    """Sum up how many models keep their answer, and which one moves most.

    Returns:
        What stands out, and the rest of the sentence.
    """
    changes = covered.changes
    if len(changes) == 1:
        return _one_change(changes[0], looks)
    before = {change.before.prediction.label for change in changes}
    kept, total = len(covered.kept), len(changes)
    singular = kept == 1 or (kept == 0 and total == 2)
    what = before.pop().capitalize() if len(before) == 1 else ("its answer" if singular else "their answers")
    return _how_many(kept, total), f"{'keeps' if singular else 'keep'} {what}; {_moved(covered, looks)}"


def movement_words(valence: float, arousal: float) -> str:
    """Say a movement on the circumplex: (-0.23, 0.01) -> "less pleasant (−0.23)".

    Args:
        valence: by how much it changes, in [-2, 2].
        arousal: likewise.
    """
    parts = [
        f"{word} ({signed(change)})"
        for change, word in (
            (valence, "more pleasant" if valence > 0 else "less pleasant"),
            (arousal, "more excited" if arousal > 0 else "calmer"),
        )
        if abs(change) >= STILL_BELOW
    ]
    return " and ".join(parts) or "as pleasant and as excited as before"


def affect_sources(predictions: Sequence[Prediction]) -> str:
    """Say where valence and arousal come from."""
    sources = {"circumplex": "derived from the probabilities", "head": "predicted by a head of their own"}
    used = sorted({sources[prediction.va_source] for prediction in predictions})
    return " or ".join(used).capitalize()


def number(value: int) -> str:
    """Write a small number as a word: 9 -> "nine"."""
    return _NUMBERS[value] if 0 <= value < len(_NUMBERS) else str(value)


def percent(probability: float) -> str:
    """Write a probability for people: 0.934 -> "93 %"; small but measured -> "<1 %"."""
    if 0.0 < probability <= 0.005:
        written = "<1"
    elif 0.995 <= probability < 1.0:
        written = ">99"
    else:
        written = f"{100 * probability:.0f}"
    return f"{written}{NARROW_SPACE}%"


def percent_exact(share: float) -> str:
    """Write a score with a decimal: 0.8734 -> "87.3 %"."""
    return f"{100 * share:.1f}{NARROW_SPACE}%"


def doubtful(doubts: Sequence[str]) -> str:
    """Write what speaks against a face as one sentence, "" where nothing does."""
    if not doubts:
        return ""
    *first, last = doubts
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"This face is {listed}: believe the answer less than its number says."


def for_masks(looks: Looks, asked: Collection[str]) -> str:
    """Write which model reads faces behind masks best, as measured; "" where none was.

    Args:
        looks: all models.
        asked: those that read this face.
    """
    measured = {name: look.masked for name, look in looks.items() if look.masked is not None}
    if not measured:
        return ""
    best = max(measured, key=measured.__getitem__)
    advice = "trust it most here" if best in asked else "choose it, too"
    return (
        f"{looks[best].title} reads faces behind masks best ({percent_exact(measured[best])} of FERPlus with "
        f"surgical masks drawn; the other models {percent_exact(min(measured.values()))} and up): {advice}."
    )


def signed(value: float) -> str:
    """Write a valence or an arousal: 0.6 -> "+0.60", with a real minus sign."""
    return f"{value:+.2f}".replace("-", "\u2212")


def signed_points(share: float) -> str:
    """Write a change in percentage points with its sign: -0.123 -> "−12.3", nothing -> "±0.0"."""
    written = f"{100 * share:+.1f}"
    return "±0.0" if written in ("+0.0", "-0.0") else written.replace("-", "\u2212")


def count(parameters: int) -> str:
    """Write a number of parameters: 3413000 -> "3.4 M"."""
    return f"{parameters / 1e6:.1f}{NARROW_SPACE}M"


def duration(ms: float) -> str:
    """Write milliseconds with the digits that matter: 4.23 -> "4.2 ms", 41.7 -> "42 ms"."""
    return f"{ms:.{1 if ms < 9.95 else 0}f}{NARROW_SPACE}ms"


def bits(divergence: float) -> str:
    """Write a divergence: 0.413 -> "0.41 bits"; small but measured -> "<0.01 bits"."""
    written = "<0.01" if 0.0 < divergence < 0.005 else f"{divergence:.2f}"
    return f"{written}{NARROW_SPACE}bits"


def fold(bits: float) -> str:
    """Write two to the power of some bits as a factor: 1.0 -> "2-fold", 0.5 -> "1.4-fold"."""
    factor = 2.0**bits
    if factor >= 1000:
        return ">1000-fold"
    return f"{factor:.1f}".removesuffix(".0") + "-fold" if factor < 10 else f"{factor:.0f}-fold"


def _one_change(change: Change, looks: Looks) -> tuple[str, str]:
    before, after = change.before.prediction, change.after.prediction
    title = looks[before.backbone].title
    if change.kept:
        sure = f"{percent(before.confidence)} before, {percent(after.confidence)} now"
        return f"{title} keeps {before.label.capitalize()}", f"({sure})"
    return (
        f"{title} changes",
        f"from {before.label.capitalize()} to {after.label.capitalize()} ({bits(change.shift)})",
    )


def _how_many(kept: int, total: int) -> str:
    if kept == total:
        return "Both" if total == 2 else f"All {number(total)}"
    if kept == 0:
        return "Neither" if total == 2 else f"None of {total}"
    return f"{kept} of {total}"


def _moved(covered: Covered, looks: Looks) -> str:
    most = covered.most_moved
    if most.shift < 0.005:
        return "no answer moves"
    title = looks[most.before.prediction.backbone].title
    return f"{title} moves {'more' if len(covered.changes) == 2 else 'most'} ({bits(most.shift)})"
