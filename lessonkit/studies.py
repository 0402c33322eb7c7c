"""Studies: what takes too long for a lesson is run by a script of its own, and its table is kept.

`lessons/studies/09_depth.py` writes `09_depth.json` beside itself. The lesson draws what is kept,
and runs one arm of it live. A study writes with `keep`, which adds the versions.
"""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "lessons" / "studies"


def kept(name: str) -> dict[str, Any]:
    """The table of a study, with `seeds` and `versions`.

    Raises:
        FileNotFoundError: it has not been run; the message has the command.
    """
    file = FOLDER / f"{name}.json"
    if not file.exists():
        raise FileNotFoundError(f"{file.name} is not there: run python lessons/studies/{name}.py")
    table: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return table


def keep(name: str, table: dict[str, Any], packages: list[str]) -> None:
    """Write the table of a study, with the versions of the packages that it used."""
    versions = {"python": platform.python_version()}
    versions |= {package: metadata.version(package) for package in packages}
    text = json.dumps({**table, "versions": versions}, indent=1)
    (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
