"""The model card that the Hub shows, made of our own card: uses, limits, results, calibration, licence."""

from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub.repocard_data import CardData

from fer_space.backbones.specs import BackboneSpec
from fer_space.card import FERPLUS_TEST, Card, Measurement

OWNER = "OWNER"  # stands in a page until somebody publishes it

_PAGE = """---
{front}---

# {title}, facial expressions

Reads one face crop as {classes} emotions: {labels}.
**It reads what a face shows, not what a person feels.** Made with FER Space, which finds the faces,
calibrates, draws attention maps and compares models.

## Use

```python
from fer_space import load_image, load_model

# after `fer-space fetch hub:{repository}`; or "folder:PATH"
model = load_model("hub:{repository}")
print(model.predict([load_image("face.jpg")]).labels)
```
{elsewhere}
## What it learned from, and limits

{data}

- Input: {preprocess}.
- Do not use it to judge, rank, hire, police, monitor or diagnose anybody; emotion inference at work and in
  schools is forbidden in the EU (AI Act, article 5).
- The faces are mostly posed, of light-skinned adults; error rates by group are unknown. Rare emotions are
  read worst. Confidence is too high on pictures that differ from the training data.

## Calibration

Logits get a bias a class ({bias}), are divided by {temperature:.3f} and pass a softmax.
{validation}
## Results

| setting | faces | accuracy (95 % interval) | balanced | expected calibration error |
|---|---:|---:|---:|---:|
{results}
## Licence

{licence}

Made by `{command}`.
"""

_TIMM = """
With timm or transformers, calibrated but without the mirror image that is read as well, on a face crop that
was made {what} first:

```python
import timm
from transformers import pipeline

network = timm.create_model("hf-hub:{repository}", pretrained=True)  # or "local-dir:PATH"
read = pipeline("image-classification", model="{repository}")
```
"""


def repository_of(name: str, owner: str = OWNER) -> str:
    """Name the repository of a model on the Hub."""
    return f"{owner}/fer-space-{name}"


def page_of(card: Card, spec: BackboneSpec, repository: str, *, is_timm: bool) -> str:
    """Write the README of a model's repository, with the metadata that the Hub reads.

    Args:
        card: of the model.
        spec: its backbone.
        repository: OWNER/NAME on the Hub.
        is_timm: whether timm and transformers read the folder, too.
    """
    what = f"{card.preprocess.native_size} px {'grey' if card.preprocess.gray else 'in colour'}"
    return _PAGE.format(
        front=_yaml(dict(_front(card, is_timm))) + "\n",
        title=spec.title,
        classes=len(card.labels),
        labels=", ".join(card.labels),
        repository=repository,
        elsewhere=_TIMM.format(repository=repository, what=what) if is_timm else "",
        data=card.data,
        preprocess=f"the crop at {what}, enlarged to {card.preprocess.input_size} px",
        bias=", ".join(f"{label} {bias:+.2f}" for label, bias in zip(card.labels, card.bias, strict=True)),
        temperature=card.temperature,
        validation=_validation(card),
        results="".join(map(_row, card.measurements)),
        licence=card.licence,
        command=card.command,
    )


def _yaml(values: Mapping[str, Any]) -> str:
    return str(CardData(**values).to_yaml())


def _front(card: Card, is_timm: bool) -> Iterator[tuple[str, object]]:
    yield "license", "mit" if card.licence.startswith("MIT") else "other"
    yield "library_name", "timm" if is_timm else "fer-space"
    yield "pipeline_tag", "image-classification"
    yield "tags", ["facial-expression-recognition", "emotion-recognition", "fer-space"]
    yield "metrics", ["accuracy"]
    measured = card.measured(FERPLUS_TEST)
    if measured is not None:
        yield "model-index", [{"name": card.name, "results": [_result(measured)]}]


def _result(measured: Measurement) -> Mapping[str, object]:
    setting, scores = measured.setting, measured.scores
    return {
        "task": {"type": "image-classification", "name": "Facial expression recognition"},
        "dataset": {"type": setting.data, "name": "FERPlus", "split": setting.split},
        "metrics": [
            {"type": "accuracy", "value": round(scores.accuracy, 4)},
            {"type": "balanced_accuracy", "value": round(scores.balanced_accuracy, 4)},
            {"type": "expected_calibration_error", "value": round(scores.ece, 4)},
        ],
    }


def _validation(card: Card) -> str:
    if card.validation is None:
        return ""
    before, after = card.validation.before_temperature, card.validation.calibrated
    return (
        f"On {after.n:,} faces of the validation split the expected calibration error is {after.ece:.1%};"
        f" before the temperature it was {before.ece:.1%}.\n"
    )


def _row(measurement: Measurement) -> str:
    scores = measurement.scores
    low, high = scores.accuracy_interval
    return (
        f"| {measurement.setting} | {scores.n:,} | {scores.accuracy:.1%} ({low:.1%} to {high:.1%}) "
        f"| {scores.balanced_accuracy:.1%} | {scores.ece:.1%} |\n"
    )
