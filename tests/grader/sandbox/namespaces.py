"""Whether bubblewrap can make namespaces here, as the user that the sandbox takes.

Containers and hardened kernels may refuse. A test that needs a sandbox is skipped there, as the
grader itself refuses to grade there.
"""

import os
import subprocess

import pytest

from grader.sandbox.box import NOBODY
from grader.sandbox.view import bubblewrap


def bubblewrap_works() -> bool:
    """Try what a sandbox is made of: namespaces, and once more namespaces inside of them."""
    if not (program := bubblewrap()):
        return False
    nested = ["unshare", "--user", "--pid", "--net", "--fork", "true"]
    trial = [program, "--unshare-all", "--ro-bind", "/", "/", "--", *nested]
    user = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.getuid() == 0 else {}
    try:
        return subprocess.run(trial, capture_output=True, cwd="/", **user).returncode == 0
    except OSError:  # a root that may not become another user
        return False


needs_bubblewrap = pytest.mark.skipif(
    not bubblewrap_works(), reason="bubblewrap is not installed, or may not make namespaces here"
)
