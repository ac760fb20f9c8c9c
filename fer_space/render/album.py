"""Many photos as one table: what was read of each, in a line and as CSV."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from fer_space.comparison import Comparison
from fer_space.render.record import comparison_csv
from fer_space.render.texts import Verdict, verdict_of

_VERDICT_BYTES = 800  # of one, as measured with 14 models


@dataclass(frozen=True)
class Entry:
    """What was read of one photo.

    Attributes:
        name: of its file.
        verdicts: of its faces.
        table: its faces as CSV with a header, see `comparison_csv`.
        problem: why there are none, or "".
    """

    name: str
    verdicts: tuple[Verdict, ...] = ()
    table: str = ""
    problem: str = ""

    @property
    def size(self) -> int:
        """About how many bytes it keeps in memory."""
        return len(self.name) + len(self.table) + len(self.problem) + _VERDICT_BYTES * len(self.verdicts)

    @property
    def tally(self) -> str:
        """Its faces in a line: "3 happiness, 1 neutral"."""
        counted = Counter(verdict.emotion for verdict in self.verdicts)
        return ", ".join(f"{many} {emotion}" for emotion, many in counted.most_common())


def entry_of(name: str, comparisons: Sequence[Comparison]) -> Entry:
    """Sum up one photo by its faces, one or more."""
    verdicts = tuple(verdict_of(comparison) for comparison in comparisons)
    return Entry(name, verdicts, comparison_csv(name, comparisons))


def album_csv(album: Sequence[Entry]) -> str:
    """Write all photos as one table, a row a face and model; a photo without faces has none."""
    rows = (line for entry in album for line in entry.table.splitlines(keepends=True)[1:])
    return comparison_csv("", ()) + "".join(rows)
