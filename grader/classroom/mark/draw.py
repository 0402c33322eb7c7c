"""Draw the challenges of a batch: a pool of secret seeds, and for each hand-in a few of them.

All is derived from a *secret*, 32 random bytes in a file that only its owner may read. So the same
work meets the same numbers whenever and wherever it is graded, and nobody without the file can tell
which. A pool is small because what the reference does on it has to be computed.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from grader.classroom.mark.errors import BatchError

POOL = 8  # secret challenges of a lab
PICKED = 2  # of these for each hand-in
SIZE = 32  # bytes of a secret


@dataclass(frozen=True)
class Draw:
    """The draw of one lab."""

    secret: bytes
    lab: str

    def pool(self) -> list[int]:
        """The secret seeds; below 2**48, so that every reader of JSON can hold them."""
        return [
            int.from_bytes(self._digest("seed", str(place))[:6], "big") for place in range(POOL)
        ]

    def picked(self, student: str, content: str) -> tuple[int, ...]:
        """The seeds for a hand-in."""
        order = sorted(self.pool(), key=lambda seed: self._digest(student, content, str(seed)))
        return tuple(order[:PICKED])

    def _digest(self, *words: str) -> bytes:
        return hmac.digest(self.secret, "\0".join([self.lab, *words]).encode(), "sha256")


def secret_in(path: Path) -> tuple[bytes, bool]:
    """The secret in this file, and whether it had to be made.

    Raises:
        BatchError: the file cannot be read or written, or is too short for a secret.
    """
    try:
        made = _made(path)
        secret = path.read_bytes()
    except OSError as error:
        raise BatchError(
            f"The secret cannot be kept in {path}: {error.strerror}. Name another: --secret FILE"
        ) from None
    if len(secret) < SIZE:
        raise BatchError(
            f"{path} holds {len(secret)} bytes, which is too short for a secret. Delete it to have "
            "a new one made, or name the file you graded with before: --secret FILE"
        )
    return secret, made


def _made(path: Path) -> bool:
    """Make a secret unless there is one. Whole or not at all, whoever else does so now."""
    if path.exists():
        return False
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(secrets.token_bytes(SIZE))
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    return True
