"""What grading costs: this grader, otter-grader and nbgrader on the same submissions.

    python benchmarks/autograders.py [--submissions N] [--environments FOLDER]

The submissions are right answers in different styles. All three graders put them to the same cases
and the same claims, and must give full points. Otter and nbgrader run as their commands do, each in
an environment of its own with the same frameworks, made in the folder if it is not there. Ours is a
running sandbox, from the notebook file to the page of feedback.

*Own code* is the same work in a fork of an equally warm process, JAX compiling as it does for ours
(see `grader.sandbox.cache`); for the others it compiles as they are. CPU is of all processes
together. Medians over submissions, in which own code, ours and otter take turns. The exit status
tells whether all limits were kept.
"""

import argparse
import inspect
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import NamedTuple

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from grader.checking import book, registry
from grader.checking.book import Book
from grader.harvesting import views
from grader.harvesting.cells import cells_of
from grader.harvesting.slices import slice_of
from grader.judging.feedback import Feedback, as_html
from grader.judging.judge import judge
from grader.judging.wire import decode, encode
from grader.press.release import release
from grader.running.candidate import Request, respond
from grader.sandbox import Sandbox, cache
from grader.sandbox.inside.warm import warmed_up
from grader.sandbox.view import ONE_THREAD

ROOT = Path(__file__).parent.parent
SETTINGS = {**ONE_THREAD, **cache.QUICKLY, "PYTHONPATH": str(ROOT)}
TORCH, JAX = "trainable_fraction", "freeze_first_dense"
SEEDS = (*book.PUBLIC_SEEDS, 12345)
GRADERS = {"otter-grader": "otter-grader==7.*", "nbgrader": "nbgrader==0.9.*"}
SHARED = ("torch", "jax", "jaxlib", "flax", "optax", "numpy", "msgspec", "ipykernel")
TURNS = 3  # of own code and ours, for each of otter
OVERHEAD = 50  # milliseconds

TEST = """
from grader.checking import registry
from grader.checking.book import Book
from grader.judging.wire import decode
from grader.judging.judge import judge
from grader.judging.run import observations

def meets_every_claim(answer):
    exercise = registry.find("{name}")
    with open("{expected}", "rb") as file:
        expected = decode(file.read(), Book)
    seen = observations(exercise, answer, exercise.cases({seeds}))
    return judge(exercise, seen, expected.reference, expected.specimens).verdict == "met"
"""
OTTERS_TEST = """
from otter.test_files import test_case

OK_FORMAT, name, points = False, "{name}", 1

@test_case()
def test({name}):
    assert meets_every_claim({name})
"""
ANSWER = {"grade_id": "answer", "grade": False, "solution": True, "locked": False}
CHECK = {"grade_id": "check", "grade": True, "solution": False, "locked": True, "points": 1}


class Cost(NamedTuple):
    """Milliseconds of one submission."""

    cpu: float
    wall: float


class Ours(NamedTuple):
    """A sandbox, whether it has a cache of programs, and its limit: a share of otter's CPU."""

    label: str
    sandbox: Sandbox
    cached: bool
    limit: float


def main(submissions: int, environments: Path | None) -> bool:
    """Print both tables; whether every limit is kept."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        places = {package: (environments or work).absolute() / package for package in GRADERS}
        for package, place in places.items():
            make_environment(place, GRADERS[package])
        os.environ.update(cache.settings(work / "programs"))  # before JAX is imported
        if fault := warmed_up():
            sys.exit(fault)
        release(work / "edition")
        torch, jax = (Assignment(name, work, submissions, places) for name in (TORCH, JAX))
        cache.fill(work / "programs", [(JAX, reference(JAX), jax.exercise.cases((0,)))])
        bare = stack.enter_context(Sandbox(work / "edition"))
        cached = stack.enter_context(Sandbox(work / "edition", cache=work / "programs"))
        kept = torch.compare([Ours("", bare, False, 1 / 40)])
        pair = [Ours(", no cache", bare, False, 1 / 3), Ours(", cache", cached, True, 1 / 10)]
        return jax.compare(pair) and kept


def make_environment(place: Path, package: str) -> None:
    """A virtual environment with this grader and our frameworks, if it is not there yet."""
    if (place / "bin" / "jupyter").exists():
        return
    print(f"installing {package} in {place}", flush=True)
    venv.create(place, with_pip=True, clear=True)
    pins = [f"{name}=={version(name).partition('+')[0]}" for name in SHARED]
    install = [str(place / "bin" / "python"), "-m", "pip", "install", "-q", package, *pins]
    subprocess.run(install, check=True)


def reference(name: str) -> list[str]:
    return [statement.source for statement in views.answer(registry.find(name))]


def forked(work: Callable[[], object]) -> Cost:
    """What work costs in a fork of this process. What it changes here is gone."""
    start = time.perf_counter()
    if (child := os.fork()) == 0:
        work()
        os._exit(0)
    _, status, used = os.wait4(child, 0)
    if status:
        sys.exit("own code failed")
    return Cost(1e3 * (used.ru_utime + used.ru_stime), 1e3 * (time.perf_counter() - start))


def spent(place: Path, *arguments: str | Path, folder: Path) -> Cost:
    """What a command of an environment costs, its kernels included."""
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    own = {name: value for name, value in os.environ.items() if name not in cache.settings(place)}
    settings = {**own, "HOME": str(folder), "PATH": path, "XLA_FLAGS": ""}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(arguments, cwd=folder, env=settings, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{arguments[0]} failed:\n{done.stdout}{done.stderr}")
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(1e3 * cpu, 1e3 * wall)


class Assignment:
    """An exercise as an assignment for all three graders, with its submissions as notebooks."""

    def __init__(self, name: str, work: Path, submissions: int, places: dict[str, Path]) -> None:
        from tests import right_answers  # which stand beside this folder, see SETTINGS

        self.name, self.exercise, self.folder = name, registry.find(name), work / name
        self.folder.mkdir()
        self.cases, expected = self.exercise.cases(SEEDS), self.folder / "expected"
        forked(lambda: expected.write_bytes(encode(book.compute(self.exercise, SEEDS))))
        self.expected = decode(expected.read_bytes(), Book)
        test = TEST.format(name=name, expected=expected, seeds=SEEDS)
        self.otter = Otter(self.folder / "otter", places["otter-grader"], name, test)
        self.nbgrader = Nbgrader(self.folder / "nbgrader", places["nbgrader"], name, test)
        source = inspect.getsource(right_answers.module(name))
        styles = [answer.__name__ for answer in right_answers.of(name)][:submissions]
        self.answers = [f"{source}\n\n{name} = {style}\n" for style in styles]

    def compare(self, ours: Sequence[Ours]) -> bool:
        """Grade everything with every grader and print a table; whether the limits are kept."""
        pairs: dict[str, list[tuple[Cost, Cost]]] = {one.label: [] for one in ours}
        otters = []
        for number, answer in enumerate(self.answers):
            file = self.folder / f"{number}.ipynb"
            write_notebook(file, new_code_cell(answer))
            for one in [*ours] * TURNS:
                pairs[one.label].append((self.own_code(file, one.cached), self.graded(file, one)))
            otters.append(self.otter.grade(file))
        otter, nbgrader = middle(otters), self.nbgrader.grade(self.answers)
        print(f"\n{self.name}, {len(self.answers)} submissions, milliseconds for one")
        print(f"  {'':22}{'CPU':>8}{'wall':>8}")
        show("otter-grader", otter)
        show("nbgrader", nbgrader)
        return all([report(one, pairs[one.label], otter) for one in ours])

    def own_code(self, file: Path, cached: bool) -> Cost:
        request = Request.of(self.name, slice_of(cells_of(file), self.name), self.cases)

        def work() -> None:
            settings = sys.modules["jax"].config
            settings.update("jax_enable_compilation_cache", cached)
            settings.update("jax_persistent_cache_min_compile_time_secs", 1e9)  # it writes nothing
            respond(request)

        return forked(work)

    def graded(self, file: Path, ours: Ours) -> Cost:
        """From the notebook to the page of feedback."""
        before, start = cpu_of(ours.sandbox), time.perf_counter()
        seen = ours.sandbox.observe(self.name, slice_of(cells_of(file), self.name), self.cases)
        found = judge(self.exercise, seen, self.expected.reference, self.expected.specimens)
        as_html(Feedback(found, self.exercise.note))
        wall = time.perf_counter() - start
        assert found.verdict == "met", found
        return Cost(1e3 * (cpu_of(ours.sandbox) - before), 1e3 * wall)


def cpu_of(sandbox: Sandbox) -> float:
    """Seconds that this process, the fork server and all answers have computed."""
    assert sandbox._box
    server, *_ = Path(f"/proc/{sandbox._box._inside}/schedstat").read_text().split()
    return time.process_time() + sandbox.cpu + int(server) / 1e9


def write_notebook(file: Path, *cells: nbformat.NotebookNode) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=list(cells), metadata={"kernelspec": kernel}), file)


class Otter:
    """`otter run` on each submission: without its containers, which would cost more."""

    def __init__(self, folder: Path, place: Path, name: str, test: str) -> None:
        self.folder, self.place = folder, place
        (folder / "tests").mkdir(parents=True)
        (folder / "tests" / f"{name}.py").write_text(test + OTTERS_TEST.format(name=name))
        self._otter("generate", "-t", "tests", "-o", "autograder.zip")

    def _otter(self, *arguments: str | Path) -> Cost:
        return spent(self.place, self.place / "bin" / "otter", *arguments, folder=self.folder)

    def grade(self, file: Path) -> Cost:
        cost = self._otter("run", "-a", "autograder.zip", "-o", ".", file)
        results = json.loads((self.folder / "results.json").read_text())
        assert sum(test.get("score", 0) for test in results["tests"]) == 1, results
        return cost


class Nbgrader:
    """`nbgrader autograde`, all submissions in one call."""

    def __init__(self, folder: Path, place: Path, name: str, test: str) -> None:
        self.folder, self.place = folder, place
        self.check = f"{test}\nassert meets_every_claim({name})"
        self._write("source/lab", "### BEGIN SOLUTION\npass\n### END SOLUTION")
        self._nbgrader("generate_assignment", "lab")

    def _write(self, where: str, answer: str) -> None:
        cells = [
            new_code_cell(
                source, metadata={"nbgrader": {"schema_version": 3, "task": False, **role}}
            )
            for source, role in ((answer, ANSWER), (self.check, CHECK))
        ]
        write_notebook(self.folder / where / "answer.ipynb", *cells)

    def _nbgrader(self, *arguments: str) -> Cost:
        return spent(self.place, self.place / "bin" / "nbgrader", *arguments, folder=self.folder)

    def grade(self, answers: Sequence[str]) -> Cost:
        for number, answer in enumerate(answers):
            self._write(f"submitted/student{number}/lab", answer)
        whole = self._nbgrader("autograde", "lab", "--Execute.timeout=600")
        with sqlite3.connect(self.folder / "gradebook.db") as gradebook:
            (points,) = gradebook.execute("SELECT SUM(auto_score) FROM grade").fetchone()
        assert points == len(answers), points
        return Cost(whole.cpu / len(answers), whole.wall / len(answers))


def middle(costs: Sequence[Cost]) -> Cost:
    return Cost(*(median(column) for column in zip(*costs, strict=True)))


def show(label: str, cost: Cost, words: str = "") -> None:
    print(f"  {label:22}{cost.cpu:8.0f}{cost.wall:8.0f}   {words}".rstrip(), flush=True)


def report(ours: Ours, pairs: Sequence[tuple[Cost, Cost]], otter: Cost) -> bool:
    """Print two lines of the table, and whether limits are kept."""
    own, graded = middle([own for own, _ in pairs]), middle([graded for _, graded in pairs])
    extra = middle([Cost(graded.cpu - own.cpu, graded.wall - own.wall) for own, graded in pairs])
    share, kept = graded.cpu / otter.cpu, graded.cpu / otter.cpu <= ours.limit
    light = max(extra) <= OVERHEAD
    show(f"own code{ours.label}", own)
    show(
        f"ours{ours.label}",
        graded,
        f"1/{1 / share:.3g} of otter's CPU, at most 1/{1 / ours.limit:.3g}"
        f"{'' if kept else ' LIMIT NOT KEPT'}; {extra.cpu:.0f} and {extra.wall:.0f} beyond own "
        f"code, at most {OVERHEAD}{'' if light else ' LIMIT NOT KEPT'}",
    )
    return kept and light


if __name__ == "__main__":
    if not SETTINGS.items() <= os.environ.items():  # too late: numpy has been imported
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **SETTINGS})
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--submissions", type=int, default=3, metavar="N")
    parser.add_argument("--environments", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    sys.exit(not main(options.submissions, options.environments))
