"""Which parameters of a torch model are trainable after a call, and what else the call changed."""

from __future__ import annotations

from typing import Any

from grader.instruments.refusals import refusal
from grader.instruments.snapshots import changed, snapshot
from grader.instruments.torch_cases import built
from grader.instruments.words import listed
from grader.judging.exercise import claim
from grader.judging.terms import Candidate, Evidence, Finding, Inputs


def flags_after(candidate: Candidate, inputs: Inputs, *given: Any) -> Evidence:
    """The flag of each parameter under "open"; for the kind "refused", how the call ended."""
    model, kind = built(inputs), inputs["kind"]
    before, names = snapshot(model), dict(model.named_parameters())
    if kind == "refused":
        ending = refusal(candidate, model, *given, returned=lambda _: "flags that were set")
        return {"kind": kind, "ending": ending, "changed": changed(before, model)}
    candidate(model, *given)
    beside = [w for w in changed(before, model) if not w.startswith("requires_grad of")]
    flags = {name: parameter.requires_grad for name, parameter in names.items()}
    return {"kind": kind, "open": flags, "changed": beside}


def flags_alike(seen: Evidence, expected: Evidence) -> Finding:
    """Whether the right parameters are open, and which are not as they should be."""
    astray = [name for name, flag in expected["open"].items() if seen["open"][name] != flag]
    more = [name for name in astray if seen["open"][name]]
    less = [name for name in astray if not seen["open"][name]]
    return not astray, f"open and not due: {_few(more)}; due and not open: {_few(less)}"


def _few(names: list[str]) -> str:
    return listed(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")


@claim(1, "Which line of yours touches more than the flags asked for?")
def nothing_else_changes(seen: Evidence, expected: Evidence) -> Finding:
    """Numbers and modes stay as they were, and where it refuses the flags do, too."""
    return not seen["changed"], f"changed: {listed(seen['changed'][:4])}"
