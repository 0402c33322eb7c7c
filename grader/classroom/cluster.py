"""A cluster: the engine whose work is done by the workers of a Dask cluster that is there already.

The scheduler and its workers are started by Dask's own commands (`dask scheduler`, `dask worker`),
by dask-jobqueue or by dask-kubernetes, with this project installed on each. A worker harvests or
observes in a sandbox of its own machine and sends evidence back; judging and recording stay with
whoever gave the command. So it does not matter when a task is done twice.

Dask itself gives the tasks of a worker that died to another one. How often a task was begun is
written down at the scheduler, so that one that kills its workers is found out.
"""

from __future__ import annotations

import atexit
import logging
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from grader.classroom.compiled import compiled
from grader.classroom.mark.engine import GivenUp, Local, local
from grader.classroom.mark.errors import BatchError
from grader.classroom.mark.lab import Lab, find
from grader.harvesting.harvester import Harvest, Harvester, Wish
from grader.judging.terms import Challenge
from grader.judging.wire import decode, encode
from grader.running.candidate import Request
from grader.sandbox import Measured

try:
    import distributed
except ImportError:
    distributed = None  # type: ignore[assignment]

TRIES = 2  # for a task under which its worker dies
INNOCENT = 5  # times that a task may be given out again because Dask lost it before it began
PATIENCE = 20  # seconds for the scheduler to answer
LARGE = 2_000_000  # bytes; larger files are harvested here and not sent around
FEWEST_JOBS = 8  # tasks at once, for clusters that grow only when there is work

NOT_INSTALLED = (
    "Grading on a cluster needs the package `distributed`. Install it in the course's folder: "
    "pip install -e '.[cluster]' -c constraints.txt"
)
GONE = "The cluster at {} does not answer ({}). What has been recorded is safe; run it again."
OTHER_VERSION = (
    "A worker of the cluster has another version of the lab than this machine. Install the same "
    "version of the project on every machine, and start the workers again."
)
NO_PROJECT = (
    "A worker of the cluster cannot import this project ({}). Install the same version of it on "
    "every machine, and start the workers again."
)


@dataclass(frozen=True)
class Setting:
    """What a worker has to know beside its tasks."""

    lab: str
    version: str
    unsafe: bool


class Run(msgspec.Struct):
    """Run an answer, for so many seconds at `most`."""

    request: Request
    most: float


class Cluster:
    """The engine. `jobs` is how many answers it takes at once. Threads share it."""

    def __init__(self, client: Any, setting: Setting, harvester: Harvester) -> None:
        self._client, self._setting = client, setting
        self._harvester, self._harvesting = harvester, threading.Lock()

    @property
    def jobs(self) -> int:
        """Two for each thread of a worker, so that none waits for the next."""
        return max(FEWEST_JOBS, 2 * sum(self._client.nthreads().values()))

    def harvest(self, wish: Wish) -> Harvest:
        if len(wish.content) + sum(map(len, wish.modules.values())) > LARGE:
            with self._harvesting:
                return self._harvester.harvest(wish)
        return decode(self._done(wish), Harvest)

    def measured(
        self, exercise: str, statements: Sequence[str], cases: Challenge, most: float
    ) -> Measured:
        return decode(self._done(Run(Request.of(exercise, statements, cases), most)), Measured)

    def _done(self, wish: Wish | Run) -> bytes:
        """What a worker answers. A task that was lost before it began is given out again."""
        name = f"grade-{uuid.uuid4().hex}"
        arguments = (name, self._setting, type(wish), encode(wish))
        for attempt in range(INNOCENT):
            task = self._client.submit(work, *arguments, key=f"{name}-{attempt}", pure=False)
            with suppress(distributed.KilledWorker):
                return self._result(task)
        raise GivenUp("Dask lost it with its workers, again and again")

    def _result(self, task: Any) -> bytes:
        try:
            return task.result()
        except (ImportError, AttributeError) as error:
            raise BatchError(NO_PROJECT.format(error)) from None
        except (distributed.comm.CommClosedError, distributed.client.FutureCancelledError) as error:
            address = self._client.scheduler.address
            raise BatchError(GONE.format(address, type(error).__name__)) from None


@contextmanager
def cluster(address: str, lab: Lab, unsafe: bool = False) -> Iterator[Cluster]:
    """The engine of the cluster whose scheduler has this address.

    Raises:
        BatchError: it cannot be reached, or `distributed` is not installed.
    """
    if distributed is None:
        raise BatchError(NOT_INSTALLED)
    try:
        client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise BatchError(
            f"There is no Dask scheduler at {address} ({type(error).__name__}). Give the address "
            "that it printed when it started, such as tcp://host:8786."
        ) from None
    with _silent(), client, Harvester() as harvester:
        yield Cluster(client, Setting(lab.name, lab.version, unsafe), harvester)


@contextmanager
def _silent() -> Iterator[None]:
    """Without Dask's log: of a lost connection it would print tracebacks before our words."""
    logging.disable()
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def work(name: str, setting: Setting, kind: type[Wish] | type[Run], message: bytes) -> bytes:
    """What runs on a worker: harvest or observe, and send the outcome back."""
    engine = _engine(setting)
    with _tried(name):
        wish = decode(message, kind)
        if isinstance(wish, Wish):
            return encode(engine.harvest(wish))
        asked = wish.request
        return encode(engine.measured(asked.exercise, asked.statements, asked.cases, wish.most))


@contextmanager
def _tried(name: str) -> Iterator[None]:
    """Keep a mark at the scheduler while a task runs. One that is there is of a worker that died.

    Raises:
        GivenUp: there are too many.
    """
    marks = [distributed.Event(f"{name}-{number}") for number in range(TRIES)]
    left = next((number for number, mark in enumerate(marks) if not mark.is_set()), TRIES)
    try:
        if left == TRIES:
            raise GivenUp(f"{TRIES} workers died under it")
        marks[left].set()
        yield
    finally:
        for mark in marks[: left + 1]:
            mark.clear()


_engines: dict[Setting, Local] = {}
_starting = threading.Lock()
_closing = ExitStack()
atexit.register(_closing.close)


def _engine(setting: Setting) -> Local:
    """The engine of this worker, made when first needed; it ends with the worker's process."""
    with _starting:
        if setting not in _engines:
            lab = find(setting.lab)
            if lab.version != setting.version:
                raise BatchError(OTHER_VERSION)
            threads = distributed.get_worker().state.nthreads
            engine = local(threads, setting.unsafe, compiled(lab))
            _engines[setting] = _closing.enter_context(engine)
        return _engines[setting]
