"""Answers that end badly, never end, or take more than their share."""

from tests.grader.sandbox.hostile import body, search, whole

HOSTILE = [
    body("leaves without a word", "Ended", "import os; os._exit(0)"),
    body("leaves with a status", "Ended", "import os; os._exit(3)"),
    body("raises SystemExit", "SystemExit", "raise SystemExit(0)"),
    body("raises KeyboardInterrupt", "Ended", "raise KeyboardInterrupt"),
    body(
        "raises an exception that cannot be shown",
        "Ended|Unshown",
        """
        class Unshown(Exception):
            def __str__(self): raise SystemExit("full marks")
        raise Unshown
    """,
    ),
    body("crashes", "Ended", "import ctypes; ctypes.string_at(0)"),
    body("aborts", "Ended", "import os; os.abort()"),
    body(
        "recurses through the stack's end",
        "Ended|RecursionError",
        """
        import sys
        sys.setrecursionlimit(10**9)
        class Deep:
            def __repr__(self): return repr(self)
        def down(): return [down()]
        repr(Deep()); down()
    """,
    ),
    body(
        "kills itself by every signal",
        "Seen|Ended",
        """
        import os, signal
        for number in signal.valid_signals():
            os.kill(os.getpid(), number)
        return 2.0
    """,
    ),
    body(
        "computes for ever and ignores signals",
        "CpuLimit|TimeLimit",
        """
        import signal
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        while True: pass
    """,
    ),
    body(
        "computes for ever where no signal is heard",
        "CpuLimit|TimeLimit",
        """
        import re
        re.match("(a+)+$", "a" * 60 + "b")
    """,
    ),
    body(
        "sleeps for ever",
        "TimeLimit",
        """
        import time
        while True:
            try:
                time.sleep(1000)
            except BaseException:
                pass
    """,
    ),
    body(
        "waits for a thread that never ends",
        "TimeLimit",
        """
        import threading
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    """,
    ),
    body(
        "computes for ever in short-lived children",
        "CpuLimit|TimeLimit",
        """
        import os
        while True:
            if os.fork() == 0:
                for _ in range(300_000): pass
                os._exit(0)
            os.wait()
    """,
    ),
    body(
        "computes for ever in children nobody waits for",
        "CpuLimit|TimeLimit|ProcessLimit",
        """
        import os, signal
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            if os.fork() == 0:
                for _ in range(300_000): pass
                os._exit(0)
    """,
    ),
    body(
        "is a fork bomb",
        "ProcessLimit",
        """
        import os
        while True:
            try:
                os.fork()
            except OSError:
                pass
    """,
    ),
    body(
        "is a fork bomb that hides in sessions of its own",
        "ProcessLimit",
        """
        import os
        while True:
            try:
                if os.fork() == 0:
                    os.setsid()
                    if os.fork(): os._exit(0)
            except OSError:
                pass
    """,
    ),
    body(
        "is a thread bomb",
        "ProcessLimit",
        """
        import threading, time
        threading.stack_size(65536)
        while True:
            try:
                threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
            except RuntimeError:
                pass
    """,
    ),
    body(
        "takes 60 GB at once",
        "MemoryError|_ArrayMemoryError",
        """
        import numpy as np
        return np.ones(60_000_000_000, dtype=np.uint8)
    """,
    ),
    body(
        "takes 60 GB at once from torch",
        "RuntimeError",
        """
        import torch
        return torch.ones(15_000_000_000)
    """,
    ),
    body(
        "takes 60 GB by degrees",
        "MemoryLimit|MemoryError|_ArrayMemoryError|CpuLimit|TimeLimit",
        """
        import numpy as np
        kept = []
        for _ in range(6000):
            kept.append(np.ones(10_000_000, dtype=np.uint8))
    """,
    ),
    body(
        "takes 60 GB by degrees in many processes",
        "MemoryLimit|CpuLimit|TimeLimit",
        """
        import os, time
        for _ in range(30):
            if os.fork() == 0:
                kept = []
                while True:
                    try:
                        kept.append(b"x" * 2_000_000)
                    except MemoryError:
                        time.sleep(1)
        time.sleep(1000)
    """,
    ),
    body(
        "takes memory by threads whose processes look dead",
        "MemoryLimit",
        """
        import ctypes, os, threading, time
        kept = []
        def hoard():
            while len(kept) < 50:
                kept.append(b"x" * 10_000_000)
            time.sleep(1000)
        for _ in range(6):
            if os.fork() == 0:
                threading.Thread(target=hoard).start()
                ctypes.CDLL(None).syscall(60, 0)  # ends this thread and not the process
        time.sleep(1000)
        """,
    ),
    body(
        "hides its books behind odd names and takes memory in many processes",
        "MemoryLimit",
        """
        import ctypes, os, time
        libc = ctypes.CDLL(None)
        for _ in range(12):
            if os.fork() == 0:
                libc.prctl(4, 0)  # what it does is nobody's business
                libc.prctl(15, b") Z 0 0 kB\\n1")  # its name
                kept = b"x" * 150_000_000
                time.sleep(1000)
        time.sleep(1000)
        """,
    ),
    search(
        "shares 200 MB with twenty children, which is no more than 200 MB",
        """
        import os, time
        kept, children = b"x" * 200_000_000, []
        for _ in range(20):
            children.append(os.fork())
            if children[-1] == 0:
                time.sleep(0.5)
                os._exit(0)
        for child in children:
            os.waitpid(child, 0)
        """,
    ),
    body(
        "flees from process to process",
        "CpuLimit|TimeLimit|ProcessLimit",
        """
        import os, signal, time
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        if os.fork() == 0:
            while True:
                if os.fork():
                    os._exit(0)
        while True:
            time.sleep(1)
        """,
    ),
    search(
        "sets timers without end",
        """
        import ctypes
        libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
        for _ in range(1000):
            if libc.timer_create(1, None, ctypes.byref(timer)):
                raise LookupError
        return 2.0
        """,
    ),
    body(
        "fills the disk with folders in folders",
        "OSError|FileExistsError",
        """
        import os
        os.chdir("/tmp")
        while True:
            os.mkdir("x")
            os.chdir("x")
        """,
    ),
    body(
        "fills two temporary folders where it may fill one",
        "OSError",
        """
        for folder in ("/tmp", "/dev/shm"):
            with open(f"{folder}/half of {len(folder)}", "wb") as file:
                file.write(b"x" * 50_000_000)
        return 2.0
        """,
    ),
    body(
        "takes memory that is in no process's books",
        "LookupError",
        """
        import ctypes, mmap, os
        libc = ctypes.CDLL(None, use_errno=True)
        found = []
        attempts = {
            "memfd": lambda: os.memfd_create("x"),
            "shared": lambda: mmap.mmap(-1, 1 << 20),
            "zero": lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 1 << 20),
        }
        for name, attempt in attempts.items():
            try:
                attempt()
                found.append(name)
            except OSError:
                pass
        if libc.shmget(0, 1 << 20, 0o1600) != -1 or libc.msgget(0, 0o1600) != -1:
            found.append("System V")
        if found:
            return str(found)
        raise LookupError
    """,
    ),
    body(
        "fills the disk",
        "OSError",
        """
        for number in range(10_000):
            with open(f"/tmp/{number}", "wb") as file:
                file.write(b"x" * 10_000_000)
    """,
    ),
    body(
        "fills the disk with one file",
        "OSError",
        """
        with open("/dev/shm/large", "wb") as file:
            for _ in range(10_000):
                file.write(b"x" * 10_000_000)
    """,
    ),
    body(
        "fills the disk with empty files",
        "OSError",
        """
        import os
        for number in range(10_000_000):
            os.close(os.open(f"/tmp/{number}", os.O_CREAT))
    """,
    ),
    body(
        "opens files without end",
        "OSError",
        """
        import os
        while True:
            os.open("/dev/null", os.O_RDONLY)
    """,
    ),
    body(
        "prints without end",
        "CpuLimit|TimeLimit",
        """
        while True:
            print("x" * 1_000_000)
    """,
    ),
    body(
        "returns what takes 400 MB",
        "OutputLimit|MemoryLimit|Ended",
        """
        import numpy as np
        return np.zeros(50_000_000)
    """,
    ),
    whole(
        "returns a mapping without end",
        "MemoryLimit|MemoryError|CpuLimit|TimeLimit",
        """
        from collections.abc import Mapping

        class Endless(Mapping):
            def __getitem__(self, key): return key
            def __len__(self): return 1
            def __iter__(self):
                number = 0
                while True:
                    yield number
                    number += 1

        def trainable_fraction(model):
            return Endless()
    """,
    ),
    body(
        "raises its own limits",
        "LookupError",
        """
        import os, resource
        found = []
        for name in dir(resource):
            if name.startswith("RLIMIT_"):
                number = getattr(resource, name)
                soft, hard = resource.getrlimit(number)
                if hard == resource.RLIM_INFINITY:
                    continue
                try:
                    resource.setrlimit(number, (soft, hard + 1))
                    found.append(name)
                except (OSError, ValueError):
                    pass
        for attempt in (lambda: os.sched_setaffinity(0, range(64)), lambda: os.nice(-10),
                        lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))):
            try:
                attempt()
                found.append("more of the processor")
            except OSError:
                pass
        if found or len(os.sched_getaffinity(0)) != 1:
            return str(found)
        raise LookupError
    """,
    ),
]
