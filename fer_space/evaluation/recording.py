"""Outputs -> scores -> measurements in cards. No model is needed, so stored outputs are scored again."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fer_space.card import (
    WEIGHTS_DIR,
    AffectRates,
    Agreement,
    Card,
    Fit,
    Measurement,
    Rates,
    Scores,
    Setting,
    paths_of,
    read_card,
    write_card,
)
from fer_space.emotions import columns_of
from fer_space.evaluation.calibration import LEAST, calibrate, fit_boost
from fer_space.evaluation.metrics import AGREEMENTS, DIGITS, absences, accuracy, complete, rates
from fer_space.evaluation.outputs import Outputs, today
from fer_space.evaluation.predict_dataset import boosted


def scores_of(outputs: Outputs) -> Scores:
    """Score outputs in every way that applies to them.

    Returns:
        Only what applies is set: see `Scores`.

    Raises:
        DataError: model and data set share no emotion.
    """
    about, labels, scored = outputs.about, outputs.labels, outputs.scored
    from_data, from_model = absences(about.model_classes, about.data_classes)
    measured: dict[str, Any] = {**dict(rates(scored, labels)), "absent_from_data": from_data}
    measured["absent_from_model"] = from_model
    if from_model:
        shared = np.isin(labels, columns_of(about.model_classes))
        on_shared = round(accuracy(scored[shared], labels[shared]), DIGITS) if shared.any() else None
        measured |= {"n_shared": int(shared.sum()), "accuracy_on_shared": on_shared}
    if about.setting.detector is not None:
        measured["undetected"] = int((~outputs.answered).sum())
    if outputs.disagreement is not None:
        known = outputs.disagreement[outputs.answered]
        bits = round(float(known.mean()), DIGITS) if len(known) else None
        measured |= {"members": about.members, "disagreement": bits}
    if outputs.near_duplicate is not None:
        rest = ~outputs.near_duplicate
        alone = rates(scored[rest], labels[rest]) if rest.any() else None
        measured |= {"near_duplicates": int((~rest).sum()), "without_near_duplicates": alone}
    if about.sets:
        faces = {joined.name: outputs.of_set(number) for number, joined in enumerate(about.sets)}
        measured["sets"] = {name: rates(*mine) for name, mine in faces.items() if len(mine[1])}
    if outputs.affect_labels is not None:
        measured["affect"] = affect_rates(outputs)
    return Scores(**measured)


def record_of(outputs: Outputs, scores: Scores | None = None) -> dict[str, Any]:
    """Write outputs' scores as the JSON object that `fer-space test --json` prints.

    Args:
        outputs: what was scored.
        scores: theirs, if they are known already.

    Returns:
        What was measured on what: backbone, data, split, flip and, where they apply, boost_rare, detector,
        occlusion and rule; then every figure that `scores_of` set. Of faces with valence and arousal alone
        these two are all.
    """
    about = outputs.about
    setting = about.setting.model_dump(exclude_none=True)
    if not about.setting.boost_rare:
        del setting["boost_rare"]
    rule = {} if about.rule is None else {"rule": about.rule}
    if outputs.has_emotions:
        figures = (scores or scores_of(outputs)).model_dump(mode="json", exclude_unset=True)
    else:
        figures = {"n": len(outputs), "affect": affect_rates(outputs).model_dump(mode="json")}
    return {"backbone": about.model, **setting, **rule, **figures}


def command_of(model: str, setting: Setting, kinds: Sequence[str], options: Sequence[str] = ()) -> str:
    """Write the command line that measures a model in a setting.

    Args:
        model: its name, or several with commas between them.
        setting: what is read, and how.
        kinds: of the data sets that are joined (`fer_space.data.KINDS`); where they lie is nobody's business.
        options: other words that belong to it.

    Example:
        >>> command_of("dan", Setting(data="ferplus", split="test", occlusion="scarf"), ["ferplus"])
        'fer-space test --backbone dan --data ferplus:DIR --split test --occlude scarf'
    """
    data = "+".join(f"{kind}:DIR" for kind in kinds)
    words = ["fer-space", "test", "--backbone", model, "--data", data, "--split", setting.split]
    words += ["--detect", setting.detector] if setting.detector else []
    words += ["--occlude", setting.occlusion] if setting.occlusion else []
    words += [] if setting.flip else ["--no-flip"]
    words += ["--boost-rare"] if setting.boost_rare else []
    return shlex.join([*words, *options])


def record(outputs: Outputs, kinds: Sequence[str], folder: Path = WEIGHTS_DIR) -> None:
    """Put a measurement into the card of the model and, of free faces, that of its second operating point.

    Args:
        outputs: of one model that has a card in `folder`.
        kinds: of the data sets, see `command_of`.
        folder: of weights and cards.
    """
    card = read_card(paths_of(outputs.about.model, folder)[1])
    setting = outputs.about.setting
    several = [outputs]
    if card.boost and not setting.boost_rare and setting.occlusion is None:
        several.append(boosted(outputs, card))
    measurements = [_measurement(measured, kinds) for measured in several]
    card = read_card(paths_of(card.name, folder)[1])  # scoring took a while: others may have written
    for measurement in measurements:
        card = card.with_measurement(measurement)
    write_card(card, folder)


def record_calibration(outputs: Outputs, folder: Path = WEIGHTS_DIR) -> Outputs:
    """Calibrate a network that was not trained here on its own answers and put that into its card.

    The rule is that of training (`fer_space.evaluation.calibration.calibrate`); for its priors stands the
    mean of its answers.

    Args:
        outputs: of one model that has a card in `folder`, on a validation split.
        folder: of weights and cards.

    Returns:
        The same outputs by the new card.
    """
    card = read_card(paths_of(outputs.about.model, folder)[1])
    logs = torch.from_numpy(outputs.probabilities[:, card.columns]).clamp(min=LEAST).log()
    logits = card.temperature * logs - torch.tensor(card.bias, dtype=torch.float64)  # less a constant a face
    known, labels = _known(outputs, card)
    card = calibrate(card, logits[known], labels, logits[known].softmax(dim=1).mean(dim=0))
    write_card(card, folder)
    return replace(outputs, probabilities=card.probabilities(logits.numpy()))


def record_boost(outputs: Outputs, folder: Path = WEIGHTS_DIR) -> Card:
    """Fit the second operating point of a model on its own answers and put it into its card.

    Args:
        outputs: of one model that has a card in `folder`, on a validation split.
        folder: of weights and cards.

    Returns:
        The new card.
    """
    card = read_card(paths_of(outputs.about.model, folder)[1])
    known, labels = _known(outputs, card)
    rows = torch.from_numpy(outputs.probabilities[:, card.columns])[known]
    boost = tuple(round(value, 4) for value in fit_boost(rows, labels).tolist())
    card = card.model_copy(update={"boost": boost})
    write_card(card, folder)
    return card


def _known(outputs: Outputs, card: Card) -> tuple[Tensor, Tensor]:
    """Which faces, bool (N,), were answered and show an emotion of the card, and where theirs are in it."""
    place = {column: k for k, column in enumerate(card.columns)}  # of an emotion among the card's labels
    labels = torch.tensor([place.get(int(label), -1) for label in outputs.labels])
    known = (labels >= 0) & torch.from_numpy(outputs.answered)
    return known, labels[known]


def describe(outputs: Outputs, scores: Scores) -> str:
    """Write scores for a person: one line, and one more for each thing that needs to be said."""
    lines = [f"{outputs.about.title}: {_figures(scores)}"]
    lines += [f"of these, {name}: {_figures(rest)}" for name, rest in (scores.sets or {}).items()]
    if scores.undetected is not None:
        lines.append(f"no face found in {scores.undetected}, which count as wrong")
    if scores.members:
        apart = "" if scores.disagreement is None else f"; disagreement {scores.disagreement:.3f} bits"
        lines.append(f"{outputs.about.rule or 'mean'} of {', '.join(scores.members)}{apart}")
    if scores.absent_from_data:
        absent = ", ".join(scores.absent_from_data)
        lines.append(f"not in the data, dropped and the rest rescaled: {absent}")
    if scores.absent_from_model:
        shared = scores.accuracy_on_shared
        figure = "none left" if shared is None else f"{shared:.2%} of {scores.n_shared}"
        absent = ", ".join(scores.absent_from_model)
        lines.append(f"not in the model, counted as wrong: {absent}; without their faces: {figure}")
    if scores.near_duplicates is not None:
        rest = scores.without_near_duplicates
        figures = _figures(rest) if rest else "none left"
        lines.append(f"without near-duplicates of train faces ({scores.near_duplicates}): {figures}")
    if scores.affect is not None:
        lines.append(_affect_figures(scores.affect))
    return "\n  ".join(lines)


def describe_affect(outputs: Outputs) -> str:
    """Write for a person how well valence and arousal are read, where nobody named an emotion."""
    return f"{outputs.about.title}: {_affect_figures(affect_rates(outputs))}"


def _affect_figures(affect: AffectRates) -> str:
    both = f"valence {_agreement(affect.valence)}; arousal {_agreement(affect.arousal)}"
    return f"{both} ({affect.source}, n = {affect.n})"


def describe_fit(fit: Fit) -> str:
    """Write the shares of a fit for a person, the largest first."""
    shares = sorted(fit.shares.items(), key=lambda item: -item[1])
    return f"fitted on {fit.data}: " + ", ".join(f"{name} {share:.1%}" for name, share in shares)


def _measurement(outputs: Outputs, kinds: Sequence[str]) -> Measurement:
    about = outputs.about
    options = [] if outputs.near_duplicate is None else ["--without-near-duplicates"]
    return Measurement(
        setting=about.setting,
        scores=scores_of(outputs),
        command=command_of(about.model, about.setting, kinds, options),
        date=about.date or today(),
    )


def affect_rates(outputs: Outputs) -> AffectRates:
    """Score valence and arousal over the `n` faces that have a label and an answer."""
    answers, labels = outputs.valence_arousal, outputs.affect_labels
    assert labels is not None
    kept = complete(answers, labels)
    valence, arousal = (
        {rule.__name__: _rounded(rule(answers[kept, k], labels[kept, k])) for rule in AGREEMENTS}
        for k in range(2)
    )
    return AffectRates(
        valence=Agreement(**valence),
        arousal=Agreement(**arousal),
        source=outputs.affect_source,
        n=int(kept.sum()),
    )


def _rounded(value: float) -> float | None:
    """JSON has no NaN: a score that is not defined becomes None."""
    return round(value, DIGITS) if isfinite(value) else None


def _figures(found: Rates) -> str:
    low, high = found.accuracy_interval
    return (
        f"accuracy {found.accuracy:.2%} ({low:.1%} to {high:.1%}), "
        f"balanced {found.balanced_accuracy:.1%}, macro-F1 {found.macro_f1:.1%}, "
        f"ECE {found.ece:.1%}, n = {found.n}"
    )


def _agreement(found: Agreement) -> str:
    figures = ((name, getattr(found, name)) for name in ("ccc", "pearson", "rmse"))
    return ", ".join(f"{name.upper()} {'undefined' if v is None else f'{v:.3f}'}" for name, v in figures)
