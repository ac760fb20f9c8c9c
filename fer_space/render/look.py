"""How a backbone is written and coloured wherever it is shown, and how numbers are written."""

from dataclasses import dataclass
from html import escape

NARROW_SPACE = "\u202f"


@dataclass(frozen=True)
class Look:
    """A backbone's name, mark and size as a reader sees them.

    Attributes:
        title: its name in prose.
        colour: "#rrggbb" that marks its card and its dot.
        parameters: how many numbers it learned.
        accuracy: on the test faces of FERPlus, in [0, 1], or None where it was not measured.
        lifted: the same at the second operating point, rare emotions lifted.
        licence: what one may do with it.
    """

    title: str
    colour: str
    parameters: int
    accuracy: float | None = None
    lifted: float | None = None
    licence: str = ""

    @property
    def ink(self) -> str:
        """Black or white, whichever can be read better on `colour` (WCAG 2 relative luminance)."""
        channels = [int(self.colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        return "#000000" if luminance > 0.179 else "#ffffff"


def percent(probability: float) -> str:
    """Write a probability for people: 0.934 -> "93 %"; small but measured -> "<1 %"."""
    if 0.0 < probability <= 0.005:
        number = "<1"
    elif 0.995 <= probability < 1.0:
        number = ">99"
    else:
        number = f"{100 * probability:.0f}"
    return f"{number}{NARROW_SPACE}%"


def signed(value: float) -> str:
    """Write a valence or an arousal: 0.6 -> "+0.60", with a real minus sign."""
    return f"{value:+.2f}".replace("-", "\u2212")


def count(parameters: int) -> str:
    """Write a number of parameters: 3413000 -> "3.4 M"."""
    return f"{parameters / 1e6:.1f}{NARROW_SPACE}M"


def duration(ms: float) -> str:
    """Write milliseconds with the digits that matter: 4.23 -> "4.2 ms", 41.7 -> "42 ms"."""
    return f"{ms:.{1 if ms < 9.95 else 0}f}{NARROW_SPACE}ms"


def bits(divergence: float) -> str:
    """Write a divergence: 0.413 -> "0.41 bits"; small but measured -> "<0.01 bits"."""
    number = "<0.01" if 0.0 < divergence < 0.005 else f"{divergence:.2f}"
    return f"{escape(number)}{NARROW_SPACE}bits"


def fold(bits: float) -> str:
    """Write two to the power of some bits as a factor: 1.0 -> "2-fold", 0.5 -> "1.4-fold"."""
    factor = 2.0**bits
    if factor >= 1000:
        return ">1000-fold"
    return f"{factor:.1f}".removesuffix(".0") + "-fold" if factor < 10 else f"{factor:.0f}-fold"


def signed_points(share: float) -> str:
    """Write a change in percentage points with its sign: -0.123 -> "−12.3", nothing -> "±0.0"."""
    number = f"{100 * share:+.1f}"
    return "±0.0" if number in ("+0.0", "-0.0") else number.replace("-", "\u2212")


def percent_exact(share: float) -> str:
    """Write a score with a decimal: 0.8734 -> "87.3 %"."""
    return f"{100 * share:.1f}{NARROW_SPACE}%"
