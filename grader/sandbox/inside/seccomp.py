"""A filter on system calls: what no answer needs is refused by the kernel.

It is a deny-list over what the namespaces and the lack of privileges already forbid, for three
ends: no new namespaces and so no privileges; no way to reach or to notice others, be it by sockets
(some families, such as vsock, know no network namespaces) or by locks and watches on the files that
all read; and no memory that is in no process's books (memfd, System V, shared anonymous mappings).
System calls newer than the list do not exist for an answer.

Numbers: Linux's asm/unistd_64.h (x86-64) and asm-generic/unistd.h (ARM). Program: linux/filter.h.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from collections.abc import Iterable, Iterator

from . import linux

NUMBERS: dict[str, tuple[int, int]] = {  # name: (x86-64, ARM); -1 where there is none
    # new namespaces and views of the file system
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "move_mount": (429, 429),
    "open_tree": (428, 428), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "swapon": (167, 224), "swapoff": (168, 225),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264), "fanotify_init": (300, 262),
    # the kernel itself
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "reboot": (169, 142),
    "syslog": (103, 116), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "iopl": (172, -1), "ioperm": (173, -1), "modify_ldt": (154, -1), "uselib": (134, -1),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "vhangup": (153, 58),
    "sethostname": (170, 161), "setdomainname": (171, 162), "personality": (135, 92),
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # it goes around filters such as this one
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "sync": (162, 81), "syncfs": (306, 267),  # they make everybody wait for the disk
    "kcmp": (312, 272), "pidfd_getfd": (438, 438),
    "flock": (73, 32), "inotify_init": (253, -1), "inotify_init1": (294, 26),
    # memory that is in no process's books
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "remap_file_pages": (216, 234),
    "shmget": (29, 194), "shmat": (30, 196), "msgget": (68, 186), "semget": (64, 190),
    "mq_open": (240, 180), "io_setup": (206, 0), "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # any network, any family
    "socket": (41, 198), "socketpair": (53, 199),
    # other cores than the one it was given
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119),
    "sched_setattr": (314, 274), "ioprio_set": (251, 30),
}  # fmt: skip

CLONE, CLONE3, MMAP, FCNTL = (56, 220), (435, 435), (9, 222), (72, 25)
SENDING = {  # name: (x86-64, ARM), and which argument is the signal; the first says to whom
    "kill": ((62, 129), 1), "tkill": ((200, 130), 1), "tgkill": ((234, 131), 2),
    "rt_sigqueueinfo": ((129, 138), 1), "rt_tgsigqueueinfo": ((297, 240), 2),
}  # fmt: skip
FIRST, SIGKILL = 1, 9
"""An answer is the first process of its namespace, on which the kernel lets no SIGKILL from inside
take effect. It is to end as it would anywhere else."""

NEWEST = 462  # mseal, Linux 6.10
X32 = 0x40000000  # x86-64's second numbering of the same calls

NEW_NAMESPACE = 0x7E020000  # flags of clone
SHARED_ANONYMOUS = 0x21  # flags of mmap
LOCKS = (5, 6, 7, 36, 37, 38, 1024, 1026)  # commands of fcntl: locks, leases, directory watches

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""Machine: the column of `NUMBERS`, and what the kernel calls it."""

_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, (16, 24, 32, 40)  # places in what a filter sees
_ALLOW, _REFUSE, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_SET_SECCOMP, _FILTER = 22, 2


def supported() -> bool:
    return platform.machine() in ARCHITECTURES


def program() -> bytes:
    """The filter for this machine, as the kernel takes it."""
    column, architecture = ARCHITECTURES[platform.machine()]
    return b"".join(_instructions(column, architecture))


def _instructions(column: int, architecture: int) -> Iterator[bytes]:
    yield _instruction(_LOAD, _ARCHITECTURE)
    yield _instruction(_EQUAL, architecture, yes=1)
    yield _instruction(_RETURN, _KILL)
    yield _instruction(_LOAD, _NUMBER)
    yield from _refused(_AT_LEAST, NEWEST + 1, errno.ENOSYS)  # X32 is beyond it, too
    yield from _refused(_EQUAL, CLONE3[column], errno.ENOSYS)  # its flags are out of sight
    for numbers in NUMBERS.values():
        if numbers[column] >= 0:
            yield from _refused(_EQUAL, numbers[column], errno.EPERM)
    yield from _with_argument(CLONE[column], 0, _refused(_ANY_BIT, NEW_NAMESPACE, errno.EPERM))
    locks = (part for lock in LOCKS for part in _refused(_EQUAL, lock, errno.EPERM))
    yield from _with_argument(FCNTL[column], 1, locks)
    shared = [
        _instruction(_AND, SHARED_ANONYMOUS),
        *_refused(_EQUAL, SHARED_ANONYMOUS, errno.EPERM),
    ]
    yield from _with_argument(MMAP[column], 3, shared)
    for numbers, place in SENDING.values():
        yield from _with_argument(numbers[column], place, _deadly())
    yield _instruction(_RETURN, _ALLOW)


def _deadly() -> list[bytes]:
    """End the process if the signal just loaded is SIGKILL, and the answer sends it to itself."""
    to_itself = [
        _instruction(_LOAD, _ARGUMENTS[0]),
        _instruction(_EQUAL, FIRST, no=1),
        _instruction(_RETURN, _KILL),
    ]
    return [_instruction(_EQUAL, SIGKILL, no=len(to_itself)), *to_itself]


def _with_argument(number: int, place: int, tests: Iterable[bytes]) -> Iterator[bytes]:
    """Put one argument of this system call to tests; go on with the call's number loaded again."""
    body = [_instruction(_LOAD, _ARGUMENTS[place]), *tests, _instruction(_LOAD, _NUMBER)]
    yield _instruction(_EQUAL, number, no=len(body))
    yield from body


def _instruction(code: int, operand: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, operand)


def _refused(test: int, operand: int, number: int) -> Iterator[bytes]:
    """Return an error if the test holds, else go on."""
    yield _instruction(test, operand, no=1)
    yield _instruction(_RETURN, _REFUSE | number)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install(filter_program: bytes) -> None:
    """Put the calling process, and all that it starts, under the filter for good."""
    described = _Program(len(filter_program) // 8, filter_program)
    linux.process_control(_SET_SECCOMP, _FILTER, ctypes.addressof(described))
