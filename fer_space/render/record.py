"""What is taken away: the one JSON object of a picture, and the same as a table.

The command line and the page's endpoint give the same object.
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from fer_space.comparison import Change, Comparison, Covered
from fer_space.emotions import EMOTIONS
from fer_space.render.texts import verdict_of
from fer_space.types import Explanation, Face, Prediction, Reading
from fer_space.watch import Watched


def comparison_record(
    source: str, size_wh: tuple[int, int], comparisons: Sequence[Comparison], explain: str = ""
) -> dict[str, Any]:
    """Turn what the engine says of one picture into plain JSON values.

    Args:
        source: where the picture came from, as the caller names it.
        size_wh: width and height of the picture in pixels.
        comparisons: its faces; none is a normal answer.
        explain: what the maps of each face are about, see `Comparison.explained`; "" leaves them out.
    """
    width, height = size_wh
    faces = [_face(comparison, explain) for comparison in comparisons]
    return {"source": source, "width": width, "height": height, "faces": faces}


def watched_record(source: str, watched: Watched) -> dict[str, Any]:
    """The object of `comparison_record` for one frame of a video: with its time and number, and tracks.

    Args:
        source: where the video came from, as the caller names it.
        watched: what was read in the frame.
    """
    record = comparison_record(source, watched.size_wh, [seen.comparison for seen in watched.faces])
    faces = [{"track": seen.track, **face} for seen, face in zip(watched.faces, record["faces"], strict=True)]
    return {**record, "time": round(watched.time, 4), "frame": watched.number, "faces": faces}


def covered_record(
    source: str, size_wh: tuple[int, int], covered: Sequence[Covered], explain: str = ""
) -> dict[str, Any]:
    """The object of `comparison_record`, in which each face also has what it became when it was covered.

    Args:
        source: where the picture came from, as the caller names it.
        size_wh: width and height of the picture in pixels.
        covered: the picture's faces, free and covered; none is a normal answer.
        explain: see `comparison_record`.
    """
    record = comparison_record(source, size_wh, [face.before for face in covered], explain)
    for written, face in zip(record["faces"], covered, strict=True):
        written["occluded"] = {**_occluded(face), **_maps(face.after, explain)}
    return record


def comparison_csv(source: str, comparisons: Sequence[Comparison]) -> str:
    """Write the faces of one picture as CSV: a row a face and model, and one a face for all together.

    Args:
        source: where the picture came from, as the caller names it.
        comparisons: its faces; none gives the header alone.
    """
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    box = ("left", "top", "right", "bottom")
    writer.writerow(("source", "face", *box, "model", "label", *EMOTIONS, "valence", "arousal"))
    for number, comparison in enumerate(comparisons, start=1):
        place = (source, number, *(round(edge, 1) for edge in comparison.face.box_xyxy))
        shares = comparison.together
        for p in comparison.predictions:
            columns = _columns(p.probabilities)
            writer.writerow((*place, p.backbone, p.label, *columns, round(p.valence, 4), round(p.arousal, 4)))
        writer.writerow(
            (
                *place,
                f"all together ({comparison.rule})",
                verdict_of(comparison).emotion,
                *_columns(shares),
                "",
                "",
            )
        )
    return text.getvalue()


def _columns(probabilities: Mapping[str, float]) -> list[float | str]:
    """Probabilities in the order of `EMOTIONS`; "" where an emotion is absent."""
    return [round(probabilities[e], 5) if e in probabilities else "" for e in EMOTIONS]


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


def _face(comparison: Comparison, explain: str) -> dict[str, Any]:
    return {**_where(comparison.face), **_answers(comparison), **_maps(comparison, explain)}


def _maps(comparison: Comparison, explain: str) -> dict[str, Any]:
    """The maps of one face by backbone; a backbone without that emotion, or without maps, has none."""
    if not explain:
        return {}
    wanted = [(r, r.explanations.get(comparison.explained(r, explain))) for r in comparison.readings]
    return {"maps": {r.prediction.backbone: _map(r, shown) for r, shown in wanted if shown is not None}}


def _map(reading: Reading, shown: Explanation) -> dict[str, Any]:
    return {
        "emotion": shown.target,
        "method": shown.method,
        "heatmap": [[round(float(value), 4) for value in row] for row in shown.heatmap],
        "crop_size": reading.crop.image_rgb.shape[0],
        "photo_to_crop": [[float(value) for value in row] for row in reading.crop.photo_to_crop],
    }


def _answers(comparison: Comparison) -> dict[str, Any]:
    verdict = verdict_of(comparison)
    votes = {vote.emotion: len(vote.backbones) for vote in verdict.votes}
    return {
        "backbones": {p.backbone: _prediction(p) for p in comparison.predictions},
        "consensus": {
            "label": verdict.emotion,
            "probabilities": comparison.together,
            "agreement": comparison.agreement,
            "disagreement_bits": comparison.disagreement,
            "rule": comparison.rule,
            "unsure": verdict.unsure,
            "votes": votes,
        },
    }


def _where(face: Face) -> dict[str, Any]:
    landmarks = None if face.landmarks is None else face.landmarks.tolist()
    return {
        "box_xyxy": [float(edge) for edge in face.box_xyxy],
        "score": float(face.score),
        "landmarks": landmarks,
        "doubts": list(face.doubts),
    }


def _prediction(prediction: Prediction) -> dict[str, Any]:
    return {
        "label": prediction.label,
        "probabilities": {emotion: float(p) for emotion, p in prediction.probabilities.items()},
        "valence": float(prediction.valence),
        "arousal": float(prediction.arousal),
        "va_source": prediction.va_source,
        "ms": float(prediction.ms),
        "runtime": prediction.runtime,
    }
