"""Does a large class take as long for each submission as a small one, and no more memory?

    python benchmarks/grading.py [COUNT ...] [--jobs N] [--light]      (default: 10 100 1000)

Grades classes of these sizes, one after the other, with the command that a teacher uses. Each
submission is lab 04 with answers drawn from right ones, written in different styles, and from the
specimens of mistaken beliefs; no two are the same. Prints for each class the time, the memory, and
how long the progress bar said it would still take when it was a quarter, half and three quarters
through. `--light` takes the tests' lab whose answers cost nothing and runs them without a sandbox:
what is left is the grader's own share. Needs the packages of the tests and a terminal of Unix.
"""

import argparse
import importlib
import inspect
import itertools
import os
import pty
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from grader.classroom.mark import lab
from grader.harvesting import views
from grader.harvesting.slices import slice_of
from grader.judging.exercise import Exercise

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))  # the tests' answers are not installed

SHOWN = re.compile(r"(\d+)/(\d+) (\d+):(\d\d):(\d\d) left: (\d+):(\d\d):(\d\d)")
CONTROL = re.compile(r"\x1b\[[\d;?]*\w")
QUARTERS = (0.25, 0.5, 0.75)
EVERY = 0.5  # seconds between two looks at the memory


@dataclass
class Watched:
    """What was seen of one run of the grader."""

    seconds: float = 0.0
    own_cpu: float = 0.0  # seconds, of the process that judges and records
    own_peak: int = 0  # bytes, of the same
    all_peak: int = 0  # bytes, of it and all below it; shared memory counts once
    said: dict[float, tuple[float, float]] = field(default_factory=dict)
    """By part done: the seconds gone, and the seconds that the bar said were left."""
    shown: float = 0.0  # seconds until the bar was full


def answers_to(exercise: Exercise) -> list[str]:
    """Right answers and wrong ones, as source."""
    from tests import right_answers
    from tests.answers import typed

    answers = ["".join(statement.source for statement in views.answer(exercise))]
    answers += [typed(exercise, misconception) for misconception in exercise.misconceptions]
    right = right_answers.of(exercise.name) if exercise.name in right_answers.names() else []
    for function in right:
        source = inspect.getsource(sys.modules[function.__module__])
        with suppress(LookupError):  # one made by another function has no definition
            own = "\n".join(slice_of([source], function.__name__))
            answers.append(f"{own}\n{exercise.name} = {function.__name__}\n")
    return answers


def write_class(folder: Path, count: int, exercises: Sequence[Exercise]) -> None:
    """A file for each student."""
    from tests.grader.classroom import light

    folder.mkdir()
    of_exercise = [answers_to(exercise) for exercise in exercises]
    for number in range(count):
        chance = random.Random(number)
        cells = [f"# student {number}", *(chance.choice(answers) for answers in of_exercise)]
        (folder / f"student{number:05}.ipynb").write_text(light.notebook(*cells), encoding="utf-8")


def watch(folder: Path, program: str, stem: str, jobs: int) -> Watched:
    """Grade the class in this folder."""
    terminal, theirs = pty.openpty()
    command = [sys.executable, "-m", program, "grade", "class", "--lab", stem]
    command += ["--jobs", str(jobs), "--csv", "all.csv", "--feedback", "feedback"]
    settings = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(ROOT), "TERM": "xterm"}
    seen, began = Watched(), time.monotonic()
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=theirs, env=settings
    )
    os.close(theirs)
    reader = threading.Thread(target=read_bar, args=(terminal, seen))
    reader.start()
    while process.poll() is None:
        look(psutil.Process(process.pid), seen)
        time.sleep(EVERY)
    seen.seconds = time.monotonic() - began
    reader.join()
    if process.returncode:
        raise SystemExit(f"the grader ended with status {process.returncode}")
    return seen


def read_bar(terminal: int, seen: Watched) -> None:
    """Follow the progress bar until the terminal closes."""
    text = ""
    with suppress(OSError):
        while chunk := os.read(terminal, 65536):
            text = CONTROL.sub("", text + chunk.decode(errors="replace"))[-2000:]
            for found in SHOWN.finditer(text):
                done, total, *clock = map(int, found.groups())
                gone, left = (3600 * h + 60 * m + s for h, m, s in (clock[:3], clock[3:]))
                seen.shown = max(seen.shown, gone)
                for part in QUARTERS:
                    if done >= part * total:
                        seen.said.setdefault(part, (gone, left))


def look(process: psutil.Process, seen: Watched) -> None:
    with suppress(psutil.Error):
        own, cpu = process.memory_info().rss, process.cpu_times()
        seen.own_cpu = cpu.user + cpu.system
        below = sum(shared_once(child) for child in process.children(recursive=True))
        seen.own_peak = max(seen.own_peak, own)
        seen.all_peak = max(seen.all_peak, own + below)


def shared_once(process: psutil.Process) -> int:
    with suppress(psutil.Error):
        return process.memory_full_info().pss
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[10, 100, 1000])
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--light", action="store_true", help="the grader's own share alone")
    options = parser.parse_args()
    print("submissions  wall s  s each  own CPU s  own MB  all MB  left s, said/true")
    runs = [(count, figures(count, options)) for count in options.counts]
    for (few, first), (many, last) in itertools.pairwise(runs):
        print(
            f"from {few} to {many}: {(last.seconds - first.seconds) / (many - few):.3f} s for each "
            f"one more, of it {(last.own_cpu - first.own_cpu) / (many - few):.3f} s of CPU of the "
            f"grader's own; its memory x{last.own_peak / first.own_peak:.2f}"
        )


def figures(count: int, options: argparse.Namespace) -> Watched:
    """Make a class of this size, grade it, and print a line."""
    light = importlib.import_module("tests.grader.classroom.light")
    chosen = ("tests.grader.classroom.light", light.whole())
    program, whole = chosen if options.light else ("grader", lab.find("04"))
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        write_class(Path(place, "class"), count, whole.exercises)
        seen = watch(Path(place), program, whole.name, options.jobs)
        size = Path(place, "gradebook.sqlite").stat().st_size
    said = ", ".join(f"{left:.0f}/{seen.shown - gone:.0f}" for gone, left in seen.said.values())
    print(
        f"{count:11}  {seen.seconds:6.0f}  {seen.seconds / count:6.2f}  {seen.own_cpu:9.1f}"
        f"  {seen.own_peak / 1e6:6.0f}  {seen.all_peak / 1e6:6.0f}  {said}"
        f"  (gradebook: {size / count / 1e3:.0f} kB each)",
        flush=True,
    )
    return seen


if __name__ == "__main__":
    main()
