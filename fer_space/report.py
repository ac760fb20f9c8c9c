"""The one JSON object that the command line and the page's endpoint give for a picture."""

from collections.abc import Sequence
from typing import Any

from fer_space.changes import Change, Covered
from fer_space.types import Comparison, Face, Prediction


def comparison_record(
    source: str, size_wh: tuple[int, int], comparisons: Sequence[Comparison]
) -> dict[str, Any]:
    """Turn what the engine says of one picture into plain JSON values.

    Args:
        source: where the picture came from, as the caller names it.
        size_wh: width and height of the picture in pixels.
        comparisons: its faces; none is a normal answer.
    """
    width, height = size_wh
    return {"source": source, "width": width, "height": height, "faces": [_face(c) for c in comparisons]}


def covered_record(source: str, size_wh: tuple[int, int], covered: Sequence[Covered]) -> dict[str, Any]:
    """The object of `comparison_record`, in which each face also has what it became when it was covered.

    Args:
        source: where the picture came from, as the caller names it.
        size_wh: width and height of the picture in pixels.
        covered: the picture's faces, free and covered; none is a normal answer.
    """
    record = comparison_record(source, size_wh, [face.before for face in covered])
    for written, face in zip(record["faces"], covered, strict=True):
        written["occluded"] = _occluded(face)
    return record


def _occluded(covered: Covered) -> dict[str, Any]:
    return {
        "kind": covered.kind,
        **_answers(covered.after),
        "kept": len(covered.kept),
        "changes": {change.backbone: _change(change) for change in covered.changes},
    }


def _change(change: Change) -> dict[str, Any]:
    valence, arousal = change.movement
    return {
        "kept": change.kept,
        "shift_bits": float(change.shift),
        "valence": float(valence),
        "arousal": float(arousal),
    }


def _face(comparison: Comparison) -> dict[str, Any]:
    return {**_where(comparison.face), **_answers(comparison)}


def _answers(comparison: Comparison) -> dict[str, Any]:
    return {
        "backbones": {p.backbone: _prediction(p) for p in comparison.predictions},
        "consensus": {
            "label": comparison.consensus,
            "probabilities": comparison.mean,
            "agreement": comparison.agreement,
            "disagreement_bits": comparison.disagreement,
        },
    }


def _where(face: Face) -> dict[str, Any]:
    landmarks = None if face.landmarks is None else face.landmarks.tolist()
    return {
        "box_xyxy": [float(edge) for edge in face.box_xyxy],
        "score": float(face.score),
        "landmarks": landmarks,
    }


def _prediction(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "probabilities": {emotion: float(p) for emotion, p in prediction.probabilities.items()},
        "valence": float(prediction.valence),
        "arousal": float(prediction.arousal),
        "va_source": prediction.va_source,
        "ms": float(prediction.ms),
    }
