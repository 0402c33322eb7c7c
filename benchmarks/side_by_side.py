"""Ratios of CPU time, measured side by side: what the benchmarks of this folder share.

What a person waits for has a limit in seconds instead: see `timed` and `within`.

All candidates run once in every round, so that a change of the machine's speed meets them alike;
a candidate's figure is the median over rounds of its time over the baseline's in the same round.
One thread each. Where a package is not installed its line says so.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch and JAX are imported
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import statistics
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

Run = Callable[[], object]
Result = TypeVar("Result")


class Line(NamedTuple):
    """One candidate: its name and what to run, or ``None`` where its package is not installed.

    ``limit`` bounds its ratio; ``least_of`` names other lines whose least ratio is the limit.
    """

    name: str
    run: Run | None
    limit: float | None = None
    note: str = ""
    least_of: tuple[str, ...] = ()


def compare(title: str, baseline: Run, lines: list[Line], *, rounds: int, speed_up: bool) -> bool:
    """Print a table of ratios; return whether every limit is kept.

    With ``speed_up`` a ratio is baseline over candidate and a limit is the least allowed,
    otherwise it is candidate over baseline and a limit is the most allowed.
    """
    ready = {line.name: line.run for line in lines if line.run}
    runs = [baseline, *ready.values()]
    for run in runs:
        run()  # compile, fill caches
    times = [[_seconds(run) for run in runs] for _ in range(rounds)]
    base = statistics.median(first for first, *_ in times)
    print(f"\n{title}\n  baseline {base * 1e3:.3g} ms of CPU, {rounds} rounds")
    ratios = {
        name: statistics.median(row[0] / row[i] if speed_up else row[i] / row[0] for row in times)
        for i, name in enumerate(ready, 1)
    }
    return all([_report(line, ratios, speed_up) for line in lines])


def _report(line: Line, ratios: dict[str, float], speed_up: bool) -> bool:
    if line.name not in ratios:
        print(f"  {line.name:40} not installed")
        return True
    ratio = ratios[line.name]
    limit = min(ratios[name] for name in line.least_of) if line.least_of else line.limit
    kept = limit is None or (ratio >= limit if speed_up else ratio <= limit)
    bound = "" if limit is None else f"{'at least' if speed_up else 'at most'} {limit:.3g}"
    over = "" if kept else "LIMIT NOT KEPT"
    print(
        f"  {line.name:40} {ratio:8.3g} times  {bound:16} {line.note} {over}".rstrip(), flush=True
    )
    return kept


def _seconds(run: Run) -> float:
    """CPU seconds of one call; of several where one is too short for the clock."""
    begin, count = time.process_time(), 0
    while count == 0 or time.process_time() - begin < 0.005:
        run()
        count += 1
    return (time.process_time() - begin) / count


def timed(run: Callable[[], Result]) -> tuple[float, Result]:
    """Return the CPU seconds of a call, and what it returned."""
    begin = time.process_time()
    result = run()
    return time.process_time() - begin, result


def within(name: str, seconds: float, limit: float) -> bool:
    """Print what something took beside its limit; return whether that is kept."""
    over = "" if seconds <= limit else "LIMIT NOT KEPT"
    print(f"  {name:40} {seconds:8.3g} s      at most {limit:<8.3g} {over}".rstrip(), flush=True)
    return seconds <= limit
