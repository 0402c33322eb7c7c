"""Which locks of a certificate were declared, and which were not.

A declaration is a kind of lock, alone or with a place: `dead` allows it everywhere,
`frozen:encoder.*` below each child of `encoder`. Places are paths or globs of modules and
parameters (`paramlock.models.paths`); what is below a place is part of it. The input and the loss
are no places in the model: a lock there is allowed by its kind alone.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from paramlock.auditing import report
from paramlock.certifying.certificate import Certificate, certificate
from paramlock.certifying.locks import KINDS, Lock
from paramlock.certifying.records import Pseudo
from paramlock.models.numbers import plain
from paramlock.models.paths import leaves_below

SCHEMA = 1
SHOWN = 20  # locks named in a message


@dataclass
class Audit:
    """A certificate judged by what was declared: made by `audit`.

    `allow`: the declarations. `declared` and `undeclared`: the locks, in the certificate's order.
    `unmet`: declarations that no lock meets; they do no harm, and may be out of date.
    """

    certificate: Certificate
    allow: tuple[str, ...]
    declared: list[Lock]
    undeclared: list[Lock]
    unmet: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every lock was declared."""
        return not self.undeclared

    def to_dict(self) -> dict[str, Any]:
        """The verdict and the whole certificate as plain data."""
        judged = {
            "schema": SCHEMA,
            "passed": self.passed,
            "allow": self.allow,
            "unmet": self.unmet,
            "undeclared": [lock.to_dict() for lock in self.undeclared],
            "declared": [lock.to_dict() for lock in self.declared],
        }
        return {**plain(judged), "certificate": self.certificate.to_dict()}

    def to_json(self) -> str:
        """`to_dict()` as JSON."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False)

    def to_html(self, title: str = "Locking report") -> str:
        """A page that stands alone: verdict, picture, certificate, and what opens the locks."""
        return report.page(title, str(self), self.undeclared, self.certificate)

    def __str__(self) -> str:
        lines = [_verdict(len(self.undeclared), len(self.declared))]
        lines += [f"- {k.title}: {k.evidence}" for k in self.undeclared[:SHOWN]]
        if len(self.undeclared) > SHOWN:
            lines.append(f"- and {len(self.undeclared) - SHOWN} more")
        if self.declared:
            lines.append("Declared: " + _some([lock.title for lock in self.declared]))
        if self.unmet:
            lines.append("Declared, but not there: " + ", ".join(self.unmet))
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return report.body(str(self), self.undeclared, self.certificate)


def audit(found: Certificate, allow: str | Iterable[str] = ()) -> Audit:
    """Judge the locks of a certificate by what was declared.

    Args:
        found: what `certificate` returned.
        allow: declarations such as `"frozen:encoder.*"`, or `"dead"` for everywhere.

    Raises:
        ValueError: a kind or a place that there is not; the message names what is near it.
    """
    rules = (allow,) if isinstance(allow, str) else tuple(allow)
    reach = {rule: _reach(rule, found) for rule in rules}
    met = {rule: [k for k in found.locks if _allows(reach[rule], k)] for rule in reach}
    allowed = {id(lock) for locks in met.values() for lock in locks}
    return Audit(
        found,
        rules,
        [lock for lock in found.locks if id(lock) in allowed],
        [lock for lock in found.locks if id(lock) not in allowed],
        tuple(rule for rule, locks in met.items() if not locks),
    )


def assert_learns(
    model: Any, data: Any, loss: Any, *, allow: str | Iterable[str] = (), **options: Any
) -> Certificate:
    """Raise `AssertionError` where a part of `model` does not learn that was not declared.

    ::

        def test_all_but_the_backbone_learns():
            model, batch = build()
            paramlock.assert_learns(model, batch, loss, allow="frozen:backbone")

    Args:
        model: as `certificate` takes it, and so are `data` and `loss`.
        data: enough samples that a unit which is dead on all of them is dead.
        loss: the function of outputs and targets.
        allow: declarations, as `audit` takes them.
        options: the other arguments of `certificate`, such as `optimizer` and `params`.

    Returns:
        The certificate, to look further.

    Raises:
        AssertionError: a lock that was not declared. The message names kind, place and number.
        ValueError: as `certificate` and `audit`.
    """
    __tracebackhide__ = True  # pytest points at the line of the test
    judged = audit(certificate(model, data, loss, **options), allow)
    if not judged.passed:
        raise AssertionError(str(judged))
    return judged.certificate


# --- declarations


@dataclass(frozen=True)
class _Reach:
    """What a declaration allows: a kind at these places, `None` for everywhere."""

    kind: str
    places: frozenset[str] | None


def _reach(rule: str, found: Certificate) -> _Reach:
    kind, colon, place = rule.partition(":")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, 1) or [", ".join(KINDS)]
        raise ValueError(
            f"{rule!r} declares no kind of lock: {kind!r} is none; near it is {near[0]}. Write "
            "KIND, or KIND:PLACE such as frozen:encoder.*"
        )
    if not colon:
        return _Reach(kind, None)
    return _Reach(kind, frozenset(leaves_below([place], _places(found), "the model")))


def _places(found: Certificate) -> list[str]:
    measured = found.measurement
    names = [name for p in measured.parameters for name in (p.name, *p.aliases, p.layer)]
    layers = [layer.name for layer in measured.layers]
    locked = [lock.place for lock in found.locks if not isinstance(lock.place, Pseudo)]
    single = [place for place in locked if "*" not in place]  # a sum of locks says its layers
    return list(dict.fromkeys([*names, *layers, *single]))


def _allows(reach: _Reach, lock: Lock) -> bool:
    if lock.kind != reach.kind or reach.places is None:
        return lock.kind == reach.kind
    return lock.place in reach.places or (bool(lock.layers) and {*lock.layers} <= reach.places)


def _verdict(undeclared: int, declared: int) -> str:
    whole = undeclared + declared
    if not whole:
        return "Everything learns: no locks."
    if not undeclared:
        return f"Every lock was declared ({whole})."
    return f"{undeclared} of {whole} lock{'s' * (whole != 1)} not declared:"


def _some(titles: list[str]) -> str:
    more = len(titles) - SHOWN
    return ", ".join(titles[:SHOWN]) + (f" and {more} more" if more > 0 else "")
