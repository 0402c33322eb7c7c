"""Answers that want out: to the network, to processes, to privileges, into the next answer."""

from tests.grader.sandbox.hostile import body, search, whole

HOSTILE = [
    search(
        "calls home, by every family of sockets",
        """
        import socket
        found = []
        for family in range(64):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW,
                         socket.SOCK_SEQPACKET, socket.SOCK_RDM):
                try:
                    socket.socket(family, kind)
                    found.append((family, kind))
                except (OSError, OverflowError):
                    pass
        if found:
            return str(found)
        raise LookupError
    """,
    ),
    body(
        "talks to this machine, by number and by name",
        "URLError",
        """
        import socket, urllib.request
        try:
            socket.create_connection(("127.0.0.1", 80), timeout=1)
        except OSError:
            urllib.request.urlopen("http://localhost/", timeout=1)
    """,
    ),
    search(
        "uses pairs of sockets and abstract names",
        """
        import socket
        for attempt in (socket.socketpair, lambda: socket.socket(socket.AF_UNIX).bind("\\0name")):
            try:
                attempt()
                return 2.0
            except OSError:
                pass
        raise LookupError
    """,
    ),
    search(
        "goes round the filter by io_uring, by old numbers and by new ones",
        """
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        room = ctypes.create_string_buffer(256)
        calls = {
            "io_uring_setup": (425, 8, room),
            "x32 socket": (0x40000000 + 41, 2, 1, 0),
            "socket": (41, 2, 1, 0),
            "beyond the list": (470, 0, 0, 0),
            "bpf": (321, 0, room, 128),
            "userfaultfd": (323, 0),
            "perf_event_open": (298, room, 0, -1, -1, 0),
            "keyctl": (250, 0, -3, 1),
        }
        found = [name for name, call in calls.items() if libc.syscall(*call) >= 0]
        if found:
            return str(found)
        raise LookupError
    """,
    ),
    search(
        "makes namespaces of its own, mounts, changes its root",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        found = []
        for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000):
            if libc.unshare(flag) == 0:
                found.append(hex(flag))
            if libc.syscall(56, flag | 17, 0, 0, 0, 0) >= 0:
                found.append(f"clone {flag:x}")
        if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0 or libc.umount2(b"/tmp", 2) == 0:
            found.append("mount")
        for attempt in (lambda: os.chroot("/tmp"), lambda: os.setuid(0), lambda: os.setgid(0)):
            try:
                attempt()
                found.append("root")
            except OSError:
                pass
        status = open("/proc/self/status").read()
        for line in status.splitlines():
            if line.startswith("Cap") and int(line.split()[1], 16):
                found.append(line)
        if found:
            return str(found)
        raise LookupError
    """,
    ),
    search(
        "traces processes and reads their memory",
        """
        import ctypes, os
        libc = ctypes.CDLL(None, use_errno=True)
        child = os.fork()
        if child == 0:
            import time
            time.sleep(100)
        for number in (1, child, os.getppid()):
            for request in (16, 0x4206):  # attach, seize
                if libc.ptrace(request, number, 0, 0) == 0:
                    return 2.0
        raise LookupError
    """,
    ),
    search(
        "kills its parent and everybody else",
        """
        import os, signal
        for number in [os.getppid(), -1, -os.getpgrp(), *range(2, 1000)]:
            try:
                os.kill(number, signal.SIGKILL)
            except OSError:
                pass
        raise LookupError
    """,
    ),
    search(
        "runs other programs",
        """
        import os, subprocess
        for program in ("/bin/sh", "/usr/bin/env", "/usr/bin/bwrap", "/usr/bin/sudo", "bash"):
            try:
                subprocess.run([program], capture_output=True, timeout=2)
                return program
            except OSError:
                pass
        raise LookupError
    """,
    ),
    whole(
        "leaves start-up files for the next answer",
        "LookupError",
        """
        import os, site, sys, sysconfig

        NAMES = ["sitecustomize.py", "usercustomize.py", "x.pth", "conftest.py", ".pythonrc",
                 "numpy.py", "torch.py", "grader.py", "__pycache__/x.pyc"]

        def trainable_fraction(model):
            folders = {path for path in sys.path if path} | set(sysconfig.get_paths().values())
            folders |= {"/", "/edition", "/edition/grader", "/edition/grader/exercises", "/sandbox",
                        "/edition/grader/exercises/c04_explicit_freezing",
                        "/etc", "/usr/lib", "/proc", "/dev", os.path.dirname(sys.executable)}
            found = []
            for folder in folders - {"/tmp"}:
                for name in NAMES:
                    try:
                        open(os.path.join(folder, name), "a").close()
                        found.append(os.path.join(folder, name))
                    except OSError:
                        pass
            for name in NAMES:
                if "/" not in name:
                    open(os.path.join("/tmp", name), "w").write("raise SystemExit('mine')")
            if found:
                return str(found)
            raise LookupError
    """,
    ),
    whole(
        "changes the code that the next answer runs",
        "LookupError",
        """
        import os, sys

        def trainable_fraction(model):
            found = []
            for module in list(sys.modules.values()):
                path = getattr(module, "__file__", None)
                if path and os.path.exists(path):
                    try:
                        open(path, "r+b").close()
                        found.append(path)
                    except OSError:
                        pass
                    try:
                        os.chmod(path, 0o777)
                        found.append(path)
                    except OSError:
                        pass
            sys.modules["grader.judging.run"].observations = None
            sys.modules["left-by-an-answer"] = sys
            os.left_by_an_answer = True
            if found:
                return str(found[:5])
            raise LookupError
    """,
    ),
    search(
        "rewrites its request, which others might have been sent as well",
        """
        import os
        for name in os.listdir("/proc/self/fd"):
            path = f"/proc/self/fd/{name}"
            try:
                target = os.readlink(path)
            except OSError:
                continue
            if "request" not in target:
                continue
            for attempt in (lambda: os.write(os.open(path, os.O_RDWR), b"mine"),
                            lambda: os.write(int(name), b"mine"),
                            lambda: os.ftruncate(int(name), 0)):
                try:
                    attempt()
                    return path
                except OSError:
                    pass
        """,
    ),
    search(
        "runs Python afresh to be rid of its bounds",
        """
        import os, subprocess, sys
        program = (
            "import os, resource, socket\\n"
            "for attempt in (socket.socket, lambda: os.open('/etc/passwd', 0),"
            " lambda: os.sched_setaffinity(0, range(64)), lambda: os.memfd_create('x')):\\n"
            "    try: attempt(); print('free')\\n"
            "    except OSError: print('bound')\\n"
        )
        done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True)
        if done.stdout.split() != ["bound"] * 4:
            return done.stdout + done.stderr
        """,
    ),
    search(
        "looks for a mount that honours set-user-id programs",
        """
        import os
        for folder in ("/", "/tmp", "/dev/shm", "/proc", "/usr/lib", "/edition/grader", "/sandbox"):
            if not os.statvfs(folder).f_flag & os.ST_NOSUID:
                return folder
        """,
    ),
    search(
        "changes times, owners and attributes of what all see",
        """
        import os, sys
        for path in ("/edition/grader/judging/run.py", os.__file__, sys.executable, "/usr/lib"):
            for attempt in (lambda: os.utime(path), lambda: os.chown(path, 0, 0),
                            lambda: os.setxattr(path, "user.mine", b"1"),
                            lambda: os.link(path, path + "2"), lambda: os.rename(path, "/tmp/x"),
                            lambda: os.truncate(path, 0), lambda: os.remove(path)):
                try:
                    attempt()
                    return path
                except OSError:
                    pass
        """,
    ),
    search(
        "writes through /proc",
        """
        paths = ["sys/kernel/core_pattern", "sys/vm/drop_caches", "sysrq-trigger", "self/uid_map",
                 "1/root/edition/grader/judging/run.py", "self/cwd/../edition/mine", "acpi/mine"]
        for path in paths:
            try:
                open(f"/proc/{path}", "wb", buffering=0).write(b"0")
                return path
            except OSError:
                pass
        """,
    ),
    search(
        "signals to other answers by locks and watches on the files that all read",
        """
        import ctypes, fcntl
        libc = ctypes.CDLL(None, use_errno=True)
        found = []
        with open("/edition/grader/judging/run.py") as file:
            for name, attempt in {
                "flock": lambda: fcntl.flock(file, fcntl.LOCK_SH),
                "lock": lambda: fcntl.lockf(file, fcntl.LOCK_SH),
                "open file lock": lambda: fcntl.fcntl(file, 37, bytes(32)),
                "lease": lambda: fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK),
                "watch": lambda: fcntl.fcntl(file, fcntl.F_NOTIFY, fcntl.DN_ACCESS),
            }.items():
                try:
                    attempt()
                    found.append(name)
                except PermissionError:
                    pass
        if libc.inotify_init1(0) >= 0 or libc.inotify_init() >= 0:
            found.append("inotify")
        if found:
            return str(found)
        """,
    ),
]
