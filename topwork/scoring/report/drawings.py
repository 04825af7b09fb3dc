"""Charts as inline SVG, in the colours of the page, which may be light or dark."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10

from markupsafe import Markup, escape

WIDTH, HEIGHT = 460, 250
LEFT, RIGHT, TOP, BOTTOM = 54, 14, 12, 44


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Args:
        name: for the legend; empty: it is not in the legend.
        points: (x, y).
        band: (x, low, high), filled behind the line.
        kind: the CSS class: ``"one"``, ``"two"`` or ``"guide"``.
        dots: whether the points are marked.
    """

    name: str
    points: Sequence[tuple[float, float]]
    band: Sequence[tuple[float, float, float]] = ()
    kind: str = "one"
    dots: bool = True


@dataclass(frozen=True)
class Axis:
    """An axis: its title, its ends, the values that are named, and how; *log*: in equal ratios."""

    title: str
    low: float
    high: float
    ticks: Sequence[float]
    form: str = "{:g}"
    log: bool = False

    def place(self, value: float) -> float:
        """Return where a value is between the ends, from 0 to 1."""
        low, high, at = (log10(one) if self.log else one for one in (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> Markup:
    """Return a chart as SVG; *title* is what a screen reader says, and should name the main values."""

    def across(value: float) -> float:
        return round(LEFT + x.place(value) * (WIDTH - LEFT - RIGHT), 1)

    def down(value: float) -> float:
        return round(HEIGHT - BOTTOM - y.place(value) * (HEIGHT - TOP - BOTTOM), 1)

    parts = [f'<svg class="chart" role="img" viewBox="0 0 {WIDTH} {HEIGHT}"><title>{escape(title)}</title>']
    for value in y.ticks:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{down(value)}" y2="{down(value)}"/>')
        parts.append(f'<text class="end" x="{LEFT - 6}" y="{down(value) + 4}">{escape(y.form.format(value))}</text>')
    for value in x.ticks:
        text = escape(x.form.format(value))
        parts.append(f'<text class="mid" x="{across(value)}" y="{HEIGHT - BOTTOM + 17}">{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="mid" x="{middle}" y="{HEIGHT - 6}">{escape(x.title)}</text>')
    half = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text class="mid" transform="translate(13 {half}) rotate(-90)">{escape(y.title)}</text>')
    for line in lines:
        parts += _drawn(line, across, down)
    names = [line for line in lines if line.name]
    if len(names) > 1:
        parts += _legend(names)
    return Markup("".join([*parts, "</svg>"]))


def _drawn(line: Line, across: Callable[[float], float], down: Callable[[float], float]) -> list[str]:
    parts = []
    if line.band:
        there = " ".join(f"{across(x)},{down(low)}" for x, low, _ in line.band)
        back = " ".join(f"{across(x)},{down(high)}" for x, _, high in reversed(line.band))
        parts.append(f'<polygon class="band {line.kind}" points="{there} {back}"/>')
    points = " ".join(f"{across(x)},{down(y)}" for x, y in line.points)
    parts.append(f'<polyline class="line {line.kind}" points="{points}"/>')
    if line.dots:
        parts += [f'<circle class="dot {line.kind}" cx="{across(x)}" cy="{down(y)}" r="3"/>' for x, y in line.points]
    return parts


def _legend(lines: Sequence[Line]) -> list[str]:
    parts = []
    for number, line in enumerate(lines):
        y = HEIGHT - BOTTOM - 10 - 16 * (len(lines) - 1 - number)
        start = WIDTH - RIGHT - 118
        parts.append(f'<line class="line {line.kind}" x1="{start}" x2="{start + 18}" y1="{y - 4}" y2="{y - 4}"/>')
        parts.append(f'<text x="{start + 24}" y="{y}">{escape(line.name)}</text>')
    return parts


def ticks(low: float, high: float) -> list[float]:
    """Return a few round values between two ends.

    >>> ticks(0.62, 0.93)
    [0.7, 0.8, 0.9]
    """
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 50, 100):
        if (high - low) / step <= 6:
            first = -(-low // step)
            return [round((first + i) * step, 4) for i in range(int((high - first * step) / step + 1e-9) + 1)]
    return [low, high]
