"""A database that may be busy, full, or away for a while, and that says so in plain words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError

from grader.classroom.mark.errors import BatchError

BUSY_LIMIT = 60  # seconds to wait for another grader that is writing to SQLite
CONNECT_LIMIT = 10  # seconds for a server to answer
PAUSES = (0.5, 1, 2, 4, 8, 15, 30)  # seconds between attempts to reach a server that went away

ANOTHER = "Name another: --gradebook URL"
SAFE = "What has been recorded is safe; the same command goes on from there."

T = TypeVar("T")


class Database:
    """An open database. Raises `BatchError` where it cannot be used, now or in `lasting`.

    A file that is not there is made, unless `make` is false.
    """

    def __init__(self, url: str, make: bool = True) -> None:
        self.url = _understood(url)
        self.is_file = self.url.get_backend_name() == "sqlite"
        self.name = str(self.url.database) if self.is_file else self.url.render_as_string()
        self._pauses: Sequence[float] = ()
        if self.is_file:
            self._own_file(os.O_CREAT if make else 0)
        settings = {"timeout": BUSY_LIMIT} if self.is_file else {"connect_timeout": CONNECT_LIMIT}
        self._engine = create_engine(self.url, connect_args=settings, pool_pre_ping=True)
        if self.is_file:
            event.listen(self._engine, "connect", _insist_on_foreign_keys)

    def _own_file(self, flags: int) -> None:
        """A new file is readable for its owner alone: it holds everybody's work."""
        try:
            os.close(os.open(self.name, flags | os.O_RDWR, 0o600))
        except OSError as error:
            raise BatchError(
                f"The gradebook {self.name} cannot be opened: {error.strerror}. {ANOTHER}"
            ) from None

    def close(self) -> None:
        self._engine.dispose()

    def be_patient(self) -> None:
        """From now on wait for a server that goes away, as one does that is started again."""
        self._pauses = PAUSES

    def lasting(self, work: Callable[[Connection], T]) -> T:
        """Do `work` in one transaction; if the server went away meanwhile, do it once more.

        So `work` must be harmless when its first time had succeeded unheard.

        Raises:
            BatchError: it cannot be done; the message says why.
            IntegrityError: a row is there already.
        """
        for pause in (*self._pauses, None):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except IntegrityError:
                raise
            except DBAPIError as error:
                if pause is None or not _is_away(error):
                    raise BatchError(self._words(error)) from None
                time.sleep(pause)
        raise AssertionError

    def compact(self) -> None:
        """Write the database anew, so that nothing of deleted rows is left in its file."""
        try:
            with self._engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM")
        except DBAPIError as error:
            raise BatchError(self._words(error)) from None

    def _words(self, error: DBAPIError) -> str:
        """What happened, the cause, the way out."""
        said = str(error.orig).strip().partition("\n")[0]
        if _is_full(error):
            return (
                f"The disk that holds the gradebook {self.name} is full ({said}). Make room, then "
                f"run the same command again. {SAFE}"
            )
        if "locked" in said:
            return f"Something else has kept {self.name} locked for {BUSY_LIMIT} seconds. {SAFE}"
        if _is_away(error):
            return (
                f"The database of the gradebook does not answer: {self.name}\nIt says: {said}\n"
                f"Start it, or name another: --gradebook URL. {SAFE}"
            )
        return f"The gradebook {self.name} cannot be used: {said}. {ANOTHER}"


def _understood(url: str) -> URL:
    """The URL; a mere file name is one of SQLite, and PostgreSQL is spoken to through psycopg."""
    try:
        parsed = make_url(url if "://" in url else f"sqlite:///{url}")
        if parsed.drivername in ("postgresql", "postgres"):
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect().import_dbapi()
    except (ArgumentError, NoSuchModuleError):
        raise BatchError(
            f"{url} is no database that the grader knows. Give a file name for SQLite, or "
            "postgresql://user@host/database."
        ) from None
    except ImportError as error:
        raise BatchError(
            f"The driver for {parsed.get_backend_name()} is not installed ({error}). "
            "For PostgreSQL, in the course's folder: "
            "pip install -e '.[postgres]' -c constraints.txt"
        ) from None
    if parsed.get_backend_name() == "sqlite" and not parsed.database:
        raise BatchError(f"{url} names no file, so nothing would be kept. {ANOTHER}")
    return parsed


def _insist_on_foreign_keys(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA foreign_keys = ON")


def _is_away(error: DBAPIError) -> bool:
    """Whether a server could not be reached, or is shutting down or starting up."""
    state = getattr(error.orig, "sqlstate", "")
    return error.connection_invalidated or state is None or state.startswith(("08", "57P"))


def _is_full(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", "") == "53100" or "disk is full" in str(error.orig)
