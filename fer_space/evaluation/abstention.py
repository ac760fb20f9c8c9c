"""When a model should not answer: signals of doubt, and how well each tells faces without an emotion apart.

    read = {split: read_signals(model, open_tagged("ferplus:DIR", split)) for split in ("valid", "test")}
    measure(read["valid"], read["test"])

Known faces have a label by the protocol of their data set; the others have none, because their taggers did
not agree or saw no emotion. A signal is a number a face, the larger the surer:

- probability of the answer (Hendrycks and Gimpel 2017, arXiv 1610.02136), and its negative entropy;
- energy, the log-sum-exp of the calibrated logits (Liu et al. 2020, arXiv 2010.03759);
- nearness to known validation faces in feature space (Sun et al. 2022, arXiv 2204.06507);
- agreement, of several models: minus the Jensen-Shannon divergence of their answers.

The cut of each signal is chosen on validation faces, where it lets 95 % of the known ones pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

from fer_space.card import Card
from fer_space.data.taggers import SPLIT, UNSEEN, TaggedFaces
from fer_space.distributions import NO_ANSWER, Distributions, divergence, mean_of, top
from fer_space.evaluation.metrics import DIGITS
from fer_space.evaluation.taggers import beside_taggers, entropy
from fer_space.model import Model

NEIGHBOURS = 10
PASSING = 0.95  # of the known faces
COVERAGES = (1.0, 0.95, 0.9, 0.8, 0.7, 0.5)

Signal = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Signals:
    """What one or several models say of faces with votes, and how sure they are.

    Attributes:
        faces: N faces.
        probabilities: float64 (N, 8), of one model or of the mean.
        values: by name, float64 (N,) each, the larger the surer.
        embedding: float32 (N, C), what one model's classifier reads; None for several.
    """

    faces: TaggedFaces
    probabilities: Distributions
    values: Mapping[str, Signal]
    embedding: NDArray[np.float32] | None = None

    @property
    def known(self) -> NDArray[np.bool_]:
        """The faces that have a label, bool (N,)."""
        return np.asarray(self.faces.labels != NO_ANSWER)

    @property
    def right(self) -> NDArray[np.bool_]:
        """The known faces whose label is the answer, bool (N,)."""
        return np.asarray(self.known & (top(self.probabilities) == self.faces.labels))


def read_signals(model: Model, faces: TaggedFaces, reference: Signals | None = None) -> Signals:
    """Read all faces with one model.

    Args:
        model: is asked twice: for logits, and for what its classifier reads.
        faces: as they are, without a detector.
        reference: the same model's signals of validation faces, whose known ones nearness is measured from;
            None measures from the known ones of `faces`, each without itself.
    """
    pictures = model.reduce([faces.read(i) for i in range(len(faces))])
    output = model.predict_reduced(pictures, embed=True)
    values = {
        "probability": np.nanmax(output.probabilities, axis=1),
        "entropy": -entropy(output.probabilities),
        "energy": energy(model.logits(pictures), model.card),
    }
    if output.embedding is not None:
        known = faces.labels != NO_ANSWER
        if reference is not None and reference.embedding is not None:
            near = nearness(output.embedding, reference.embedding[reference.known])
        else:
            near = nearness(output.embedding, output.embedding[known], own=known)
        values["nearness"] = near
    return Signals(faces, output.probabilities, values, output.embedding)


def together(
    several: Sequence[Signals], reference: Sequence[Signals] = (), shares: Sequence[float] = ()
) -> Signals:
    """Join the signals of several models of the same faces.

    Args:
        several: two or more.
        reference: the same models' signals of validation faces; () takes `several` themselves.
        shares: of a fitted mean, one a model; () lets all count alike.

    Returns:
        Those of their mean, with their agreement. Energy and nearness have another scale in each model: they
        are means in units of the standard deviation among the known faces of the reference.
    """
    stacked = np.stack([signals.probabilities for signals in several])  # (M, N, 8)
    mean = mean_of(stacked, shares)
    values = {
        "probability": np.nanmax(mean, axis=1),
        "entropy": -entropy(mean),
        "agreement": -divergence(stacked),
    }
    pairs = list(zip(several, reference or several, strict=True))
    for name in ("energy", "nearness"):
        if all(name in signals.values for signals in several):
            values[name] = np.mean([_standard(*pair, name) for pair in pairs], axis=0)
    return Signals(several[0].faces, mean, values)


def energy(logits: NDArray[np.floating[Any]], card: Card) -> Signal:
    """Log-sum-exp of logits (N, K) as the card calibrates them, float64 (N,)."""
    scaled = (logits.astype(np.float64) + np.array(card.bias)) / card.temperature
    return np.asarray(np.logaddexp.reduce(scaled, axis=1))


def nearness(
    embedding: NDArray[np.float32], reference: NDArray[np.float32], own: NDArray[np.bool_] | None = None
) -> Signal:
    """Minus the distance to the tenth nearest known face, on vectors of length one.

    Args:
        embedding: float (N, C).
        reference: float (M, C), M > NEIGHBOURS.
        own: bool (N,), the faces that are the reference themselves; each is not its own neighbour.

    Returns:
        float64 (N,), at most 0.
    """
    mine, theirs = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (embedding, reference))
    distances, _ = NearestNeighbors(n_neighbors=NEIGHBOURS + 1).fit(theirs).kneighbors(mine)
    column = NEIGHBOURS - 1 if own is None else np.where(own, NEIGHBOURS, NEIGHBOURS - 1)
    return np.asarray(-distances[np.arange(len(mine)), column], dtype=np.float64)


def auroc(signal: Signal, known: NDArray[np.bool_]) -> float:
    """How often a known face gets a larger signal than another one, in [0, 1]; .5 tells nothing."""
    return float(roc_auc_score(known, signal))


def cut_of(signal: Signal, known: NDArray[np.bool_], passing: float = PASSING) -> float:
    """Choose the largest cut that lets a share of the known faces pass: signals of at least the cut."""
    ordered = np.sort(signal[known])
    return float(ordered[int(np.floor((1.0 - passing) * len(ordered)))])


def false_passes(signal: Signal, known: NDArray[np.bool_], passing: float = PASSING) -> float:
    """Measure the share of the other faces that pass a cut of these known ones: FPR at 95 %."""
    return float((signal[~known] >= cut_of(signal, known, passing)).mean())


def risk_at(signal: Signal, right: NDArray[np.bool_], coverage: float) -> float:
    """Share of wrong answers among the surest faces.

    Args:
        signal: float64 (N,), of all faces that somebody might ask about.
        right: bool (N,), whether the answer is right; a face without a label has no right answer.
        coverage: the share of the faces that are answered, in (0, 1].
    """
    answered = np.argsort(-signal, kind="stable")[: max(1, round(coverage * len(signal)))]
    return float(1.0 - right[answered].mean())


def risk_area(signal: Signal, right: NDArray[np.bool_]) -> float:
    """Mean of `risk_at` over all coverages (AURC, Geifman and El-Yaniv 2017): the less the better."""
    wrong = ~right[np.argsort(-signal, kind="stable")]
    return float((np.cumsum(wrong) / np.arange(1, len(wrong) + 1)).mean())


def measure(valid: Signals, test: Signals) -> dict[str, Any]:
    """Measure every signal on test faces, with the cut that validation faces choose.

    Returns:
        JSON values: the numbers of faces; `taggers`, see `BesideTaggers`, of the known faces; and by signal:
        `auroc` against all faces without a label and by reason, `fpr_at_95`, `risk` by coverage and
        `risk_area` over all faces, and what the cut does: `known_passing`, `others_passing`,
        `accuracy_of_passing` (of known faces; None where none passes).
    """
    faces, known, right = test.faces, test.known, test.right
    reasons = {why: faces.without_label(why) for why in (SPLIT, UNSEEN)}
    by_signal = {}
    for name, signal in test.values.items():
        passing = signal >= cut_of(valid.values[name], valid.known)
        told = {why: known | rows for why, rows in reasons.items() if rows.any()}
        aurocs = {why: auroc(signal[rows], known[rows]) for why, rows in told.items()}
        by_signal[name] = {
            "auroc": _rounded(auroc(signal, known)),
            "auroc_by_reason": {why: _rounded(value) for why, value in aurocs.items()},
            "fpr_at_95": _rounded(false_passes(signal, known)),
            "risk": {f"{coverage:g}": _rounded(risk_at(signal, right, coverage)) for coverage in COVERAGES},
            "risk_area": _rounded(risk_area(signal, right)),
            "known_passing": _rounded(passing[known].mean()),
            "others_passing": _rounded(passing[~known].mean()),
            "accuracy_of_passing": _share(right[known & passing]),
        }
    return {
        "data": faces.name,
        "split": faces.split,
        "n": len(faces),
        "known": int(known.sum()),
        "without_label": {why: int(rows.sum()) for why, rows in reasons.items()},
        "accuracy": _rounded(right[known].mean()),
        "taggers": beside_taggers(test.probabilities[known], faces.votes[known])._asdict(),
        "signals": by_signal,
    }


def as_text(name: str, record: Mapping[str, Any]) -> str:
    """Write what `measure` found for a person: the taggers, then a line a signal, the best first."""
    people = record["taggers"]
    lines = [
        f"{name} on {record['data']} {record['split']}: {record['known']} known faces, "
        f"{sum(record['without_label'].values())} without a label",
        f"against nine taggers {people['model']:.1%}, one tagger {people['one_tagger']:.1%}; "
        f"{people['kl_bits']:.2f} bits from the votes",
    ]
    for signal, r in sorted(record["signals"].items(), key=lambda item: -item[1]["auroc"]):
        lines.append(
            f"{signal:<12} AUROC {r['auroc']:.3f}, FPR at 95 % {r['fpr_at_95']:.1%}, "
            f"passing the cut: {r['known_passing']:.1%} of the known, {r['others_passing']:.1%} of the others"
        )
    return "\n  ".join(lines)


def _standard(signals: Signals, reference: Signals, name: str) -> Signal:
    usual = reference.values[name][reference.known]
    return np.asarray((signals.values[name] - usual.mean()) / max(float(usual.std()), 1e-12))


def _share(flags: NDArray[np.bool_]) -> float | None:
    return _rounded(flags.mean()) if len(flags) else None


def _rounded(value: float) -> float:
    return round(float(value), DIGITS)
