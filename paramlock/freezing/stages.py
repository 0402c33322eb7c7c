"""What torch and optax share in opening a model stage by stage: schedules, and rates that fall."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

FACTOR = 1 / 2.6  # Howard & Ruder's, from a stage to the one below

Schedule = Mapping[int, str | Iterable[str]]
Stages = Sequence[str | Sequence[str]]


def due_of(schedule: Schedule) -> dict[int, list[str]]:
    """{when: patterns} in order of time; raises `ValueError` for none, or a time below 0."""
    if not schedule or min(schedule) < 0:
        raise ValueError(f"a schedule maps times from 0 on to paths, not {dict(schedule)!r}")
    return {when: as_list(schedule[when]) for when in sorted(schedule)}


def falling(stages: Stages, factor: float) -> list[tuple[list[str], float]]:
    """The patterns of each stage, and its share of the rate of the last (the output's)."""
    last = len(stages) - 1
    return [(as_list(stage), factor ** (last - depth)) for depth, stage in enumerate(stages)]


def require_all(left: Sequence[str]) -> None:
    """Raise `ValueError` for parameters that are in no stage."""
    if left:
        raise ValueError(
            f"no stage holds {', '.join(left[:3])}{' and more' if len(left) > 3 else ''}: "
            "name them in the stage whose rate they are to have"
        )


def as_list(patterns: str | Iterable[str]) -> list[str]:
    """One pattern or several, as a list."""
    return [patterns] if isinstance(patterns, str) else list(patterns)
