"""The plots of a report, as HTML and SVG that take their colours from the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from grader.judging.judge import Verdict

BINS = 10
WIDTH, HEIGHT, BASE, TOP = 640, 220, 190, 24  # of the distribution, in its own units


def distribution(shares: Sequence[float]) -> str:
    """How many students have which share of the points, in ten bars."""
    counts = [0] * BINS
    for share in shares:
        counts[min(int(max(share, 0.0) * BINS), BINS - 1)] += 1
    bars = "\n".join(_column(place, count, max(counts) or 1) for place, count in enumerate(counts))
    step = WIDTH / BINS
    ticks = "\n".join(
        f'<text x="{place * step:.0f}" y="{BASE + 18}" text-anchor="{_anchor(place)}">'
        f"{place * 100 // BINS} %</text>"
        for place in range(0, BINS + 1, 2)
    )
    said = ", ".join(f"{10 * place} to {10 * place + 10} %: {n}" for place, n in enumerate(counts))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="Students by share of the points. {said}.">\n{bars}\n'
        f'<line class="axis" x1="0" x2="{WIDTH}" y1="{BASE}" y2="{BASE}"/>\n{ticks}\n</svg>'
    )


def _column(place: int, count: int, most: int) -> str:
    step, height = WIDTH / BINS, (BASE - TOP) * count / most
    left, top = place * step + 3, BASE - height
    label = (
        f'<text x="{left + step / 2 - 3:.0f}" y="{top - 6:.0f}" text-anchor="middle">{count}</text>'
    )
    bar = f'<rect x="{left:.0f}" y="{top:.1f}" width="{step - 6:.0f}" height="{height:.1f}"/>'
    return bar + label * bool(count)


def _anchor(place: int) -> str:
    return {0: "start", BINS: "end"}.get(place, "middle")


def bar(share: float, words: str) -> str:
    """A share from 0 to 1, with its words beside it."""
    return (
        f'<span class="bar"><span style="width:{100 * min(max(share, 0), 1):.1f}%"></span></span>'
        f"<span>{escape(words)}</span>"
    )


def around_zero(value: float, words: str) -> str:
    """A number from -1 to 1, to the left or the right of a middle line."""
    left, width = 50 + 50 * min(value, 0), 50 * abs(value)
    return (
        f'<span class="bar middle"><span style="margin-left:{left:.1f}%;width:{width:.1f}%">'
        f"</span></span><span>{escape(words)}</span>"
    )


def stacked(counts: Mapping[Verdict, int]) -> str:
    """So many of each verdict, one beside the other; they are classes of the style sheet."""
    whole = sum(counts.values()) or 1
    parts = "".join(
        f'<span class="{verdict.replace(" ", "-")}" style="width:{100 * count / whole:.1f}%" '
        f'title="{escape(verdict)}: {count}">{count}</span>'
        for verdict, count in counts.items()
        if count
    )
    return f'<span class="stack">{parts}</span>'
