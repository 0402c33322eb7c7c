"""The person to be forgotten: all names and numbers under which the gradebook has them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from grader.classroom.give_back.pages import file_name
from grader.classroom.gradebook.gradebook import Gradebook
from grader.classroom.mark.errors import BatchError
from grader.classroom.report.pseudonyms import pseudonym

TELLING = 5  # digits of a number that is not likely to stand somewhere by chance


@dataclass(frozen=True)
class Person:
    """Somebody by a `key`, the number or else the name, and all that they are called.

    No one else is called by one of the `words`. `others` are the keys of everybody else.
    """

    key: str
    names: frozenset[str]
    number: str
    words: frozenset[str]
    others: frozenset[str]

    @property
    def files(self) -> set[str]:
        """What files and folders of theirs are called, without an ending."""
        return {file_name(name) for name in {*self.names, self.number} if name}

    def found_in(self, content: bytes) -> bool:
        """Whether one of the words stands in this content, in UTF-8, UTF-16 or JSON's escapes."""
        return any(pattern.search(content) for pattern in self._patterns())

    def _patterns(self) -> Iterator[re.Pattern[bytes]]:
        for word in self.words:
            escaped = word.encode("ascii", "backslashreplace")
            forms = {word.encode(), word.encode("cp1252", "replace"), escaped}
            for form in forms:
                yield re.compile(rb"(?<![0-9A-Za-z])" + re.escape(form) + rb"(?![0-9A-Za-z])")
            yield re.compile(re.escape(word.encode("utf-16-le")))


def person(gradebook: Gradebook, typed: str, secret: bytes | None = None) -> Person:
    """Who is meant by a name or a number. With the secret, their pseudonym is one of their names.

    Raises:
        BatchError: nobody is called so, or several people are.
    """
    everybody = [(row.student, row.number) for row in gradebook.students()]
    key = _key(typed, everybody, gradebook.name)
    own = [one for one in everybody if key == (one[1] or one[0])]
    rest = [one for one in everybody if one not in own]
    shared = {text for one in rest for text in _called(*one)}
    words = {text for one in own for text in _called(*one) if _telling(text)} - shared
    aliases = {pseudonym(secret, key)} if secret else set()
    return Person(
        key,
        frozenset({name for name, _ in own} | aliases),
        own[0][1],
        frozenset(words | aliases),
        frozenset(number or name for name, number in rest),
    )


def _key(typed: str, everybody: Iterable[tuple[str, str]], gradebook: str) -> str:
    """The number, or the name without one, of whoever is called so."""
    wanted = typed.strip().casefold()
    meant = {one for one in everybody if wanted in {text.casefold() for text in _called(*one)}}
    keys = {number or name for name, number in meant}
    if len(keys) > 1:
        listed = ", ".join(sorted(name for name, _ in meant))
        raise BatchError(f"{len(keys)} people are called {typed}: {listed}. Give the number.")
    if not keys:
        raise BatchError(f"{gradebook} knows nobody called {typed}. Nothing was changed.")
    return keys.pop()


def _called(name: str, number: str) -> set[str]:
    bare = name.removesuffix(f"_{number}") if number else name
    return {text for text in (name, number, bare) if text}


def _telling(text: str) -> bool:
    return not text.isdecimal() or len(text) >= TELLING
