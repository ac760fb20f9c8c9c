"""Robustness: how well the backbones read a whole test set with and without something on the faces."""

from collections.abc import Mapping, Sequence
from html import escape

from fer_space.render.look import Look, percent_exact, signed_points

Row = tuple[str, Mapping[str, Mapping[str, float]]]

_METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro-F1"}
_CAPTION = (
    "Test faces of FERPlus, covered by a template that needs no landmarks, drawn on faces of 48 px. "
    "Below each value: the change against the first column, in percentage points."
)


def robustness_html(rows: Sequence[Row], looks: Mapping[str, Look]) -> str:
    """Build the table: two rows a backbone, a column a condition.

    Args:
        rows: each backbone with its conditions in one order, as they are to be written, the free face first,
            and of each condition "accuracy" and "macro_f1" in [0, 1]; what was not measured may be missing
            and gets a dash.
        looks: how each backbone is shown.
    """
    conditions = list(dict.fromkeys(name for _, measured in rows for name in measured))
    heads = "".join(f'<th scope="col">{escape(name)}</th>' for name in conditions)
    bodies = "".join(_body(measured, looks[backbone], conditions) for backbone, measured in rows)
    return (
        '<div class="fer-scroll" role="region" tabindex="0" aria-label="Scores on covered test faces">'
        f'<table class="fer-robustness"><caption><span>{_CAPTION}</span></caption><thead><tr>'
        f'<th scope="col">Model</th><th scope="col">Score</th>{heads}</tr></thead>{bodies}</table></div>'
    )


def _body(measured: Mapping[str, Mapping[str, float]], look: Look, conditions: Sequence[str]) -> str:
    title = (
        f'<th scope="rowgroup" rowspan="{len(_METRICS)}"><span class="fer-chip" '
        f'style="background:{look.colour}" aria-hidden="true"></span>{escape(look.title)}</th>'
    )
    rows: list[str] = []
    for metric, name in _METRICS.items():
        values = [measured.get(condition, {}).get(metric) for condition in conditions]
        cells = "".join(_cell(value, values[0], i > 0) for i, value in enumerate(values))
        rows.append(f'<tr>{"" if rows else title}<th scope="row">{name}</th>{cells}</tr>')
    return f"<tbody>{''.join(rows)}</tbody>"


def _cell(value: float | None, free: float | None, covered: bool) -> str:
    if value is None:
        return '<td><span role="img" aria-label="not measured">–</span></td>'
    change = f"<small>{signed_points(value - free)}</small>" if covered and free is not None else ""
    return f"<td>{percent_exact(value)}{change}</td>"
