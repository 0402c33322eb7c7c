"""The page on how people train: each row names a test, and each of those is there."""

from __future__ import annotations

import ast
import re

from tests import ROOT

PAGE = (ROOT / "docs" / "practice.md").read_text(encoding="utf-8")
OWN = ("certifying/test_practice.py", "certifying/test_practice_flax.py", "fisher/test_practice.py",
       "watching/test_practice.py")  # fmt: skip


def those_in(path):
    code = (ROOT / "tests" / "paramlock" / path).read_text(encoding="utf-8")
    return {node.name for node in ast.parse(code).body if getattr(node, "name", "")[:5] == "test_"}


def test_each_row_names_tests_that_are_there_and_none_is_left_out():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and "set-up" not in line]
    assert len(rows) > 30 and all("::test_" in row for row in rows)
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE)
    assert {test for path, test in named} <= {t for path, _ in named for t in those_in(path)}
    unnamed = {(path, test) for path in OWN for test in those_in(path)} - {*named}
    assert {test for _, test in unnamed} <= {
        "test_a_forward_that_fails_leaves_no_mode_behind",
        "test_frozen_layers_are_not_summed_up_under_a_name_that_others_bear",
        "test_what_cannot_be_looked_at_is_said_and_stops_nothing",
    }
