"""Answers that look for what would help them: solutions, secrets, other people's work.

The tests put a secret number into the names of the cases, into a file, into the environment of the
grader and into its memory.
"""

from tests.grader.sandbox.hostile import search, whole

LEAVING = """
import os, sys, tempfile

MARK = "left-by-an-answer"
PLACES = ("/tmp", "/dev/shm", "/", "/edition", tempfile.gettempdir(), "/proc", "/sandbox")
found = [place for place in PLACES if os.path.exists(os.path.join(place, MARK))]
found += ["sys"] * (MARK in sys.modules) + ["os"] * hasattr(os, "left_by_an_answer")
sys.modules[MARK], os.left_by_an_answer = sys, True
for place in PLACES:
    try:
        open(os.path.join(place, MARK), "w").close()
    except OSError:
        pass

def trainable_fraction(model):
    if found:
        return str(found)
    raise LookupError
"""
"""Run it twice: the second time it finds what the first time has left."""

HOSTILE = [
    search(
        "searches the disk for solutions, gradebooks and submissions",
        """
        import os, re
        wanted = re.compile(
            "solution|gradebook|submission|specimen|right_answers|secret.*number|id_rsa|[.]ssh|"
            "shadow$|bash_history|[.]git$|test_exercises|[.]sqlite$", re.I)
        libraries = re.compile("^/(usr/lib|proc|sys)|-packages$|/lib/python3")
        found = []
        for folder, folders, files in os.walk("/"):
            if libraries.search(folder):
                folders.clear()
                continue
            found += [f"{folder}/{name}" for name in folders + files if wanted.search(name)]
        if found:
            return str(found)
        """,
    ),
    search(
        "lists what there is of the machine",
        """
        import os, sys
        def names(path):
            try:
                return set(os.listdir(path))
            except OSError:
                return set()
        known = {"dev", "edition", "etc", "lib", "lib64", "proc", "sandbox", "sys", "tmp", "usr"}
        python = {path.split("/")[1] for path in (*sys.path, sys.executable) if "/" in path}
        found = names("/") - known - python
        found |= names("/etc") - {"ld.so.cache", "alternatives"}
        found |= names("/dev") - {"null", "random", "urandom", "fd", "shm"}
        found |= names("/edition") - {"grader", "paramlock"} | names("/tmp") | names("/dev/shm")
        found |= names("/var") | names("/srv")
        found |= {name for name in names("/usr/bin") if not name.startswith("python3")}
        if found:
            return str(found)
        """,
    ),
    search(
        "searches every importable copy of the project for another one",
        """
        import glob, os, sys
        roots = {os.path.dirname(path) for path in sys.path if path} | set(sys.path)
        roots |= {"/usr/local/lib"} | set(glob.glob("/*/*")) | set(glob.glob("/*/*/*"))
        here = open("/edition/grader/exercises/c04_explicit_freezing/trainable_fraction.py").read()
        for root in roots:
            for pattern in ("grader/exercises/*/*.py", "*/grader/exercises/*/*.py"):
                for path in glob.glob(os.path.join(root, pattern)):
                    if path.endswith("trainable_fraction.py") and open(path).read() != here:
                        return path
        """,
    ),
    search(
        "reads environments",
        """
        import glob, os
        texts = [str(dict(os.environ))]
        for path in glob.glob("/proc/*/environ"):
            try:
                texts.append(open(path, errors="replace").read())
            except OSError:
                pass
        secret = "".join(map(chr, [50, 55, 49, 56, 50, 56, 49, 56, 50, 56]))
        found = [text for text in texts if secret in text or "PYTEST_" in text or "SSH_" in text]
        if found:
            return str(found)
        """,
    ),
    search(
        "searches the objects of the garbage collector",
        """
        import gc
        gc.unfreeze()
        secret = "".join(map(chr, [50, 55, 49, 56, 50, 56, 49, 56, 50, 56]))
        def tells(item):
            own = str(type(item).__module__).startswith("grader.")
            if own and type(item).__name__ in ("Book", "Report", "Sandbox", "Box", "Runner"):
                return True
            if type(item) is dict:
                return any(type(key) is str and secret in key for key in list(item))
            if type(item) in (list, tuple):
                return any(type(text) is str and secret in text for text in item)
            return False
        found = [type(item).__name__ for item in gc.get_objects() if tells(item)]
        if found:
            return str(found)
        """,
    ),
    search(
        "climbs up the stack",
        """
        import sys
        secret = "".join(map(chr, [50, 55, 49, 56, 50, 56, 49, 56, 50, 56]))
        frame, found = sys._getframe().f_back, []
        while frame:
            for name, value in frame.f_locals.items():
                if name in ("expected", "specimens", "known", "reference") or secret in repr(value):
                    found.append((frame.f_code.co_name, name))
            frame = frame.f_back
        if found:
            return str(found)
        """,
    ),
    search(
        "scans its own memory for what the server left there",
        """
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
            for line in maps:
                place, flags, *_ = line.split()
                if not flags.startswith("rw"):
                    continue
                start, end = (int(part, 16) for part in place.split("-"))
                try:
                    memory.seek(start)
                    for part in memory.read(end - start).split(b"27182818")[1:]:
                        if part.startswith(b"2" + b"8"):
                            return line
                except (OSError, ValueError, OverflowError):
                    continue
        """,
    ),
    search(
        "looks for other processes in /proc",
        """
        import os
        others = {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}
        for number in range(1, 500):
            try:
                os.kill(number, 0)
                if number != os.getpid():
                    others.add(number)
            except OSError:
                pass
        if others or os.getppid():
            return str(others)
        """,
    ),
    search(
        "looks through descriptors that were left open",
        """
        import os
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{name}")
            except OSError:
                continue
            if not target.startswith(("/dev/null", "pipe:", "/memfd:request", "/proc/")):
                found.append(target)
        if found:
            return str(found)
        """,
    ),
    search(
        "looks for the names of cases in its request",
        """
        import os, sys
        for number in range(3, 64):
            try:
                text = os.pread(number, 10_000_000, 0)
            except OSError:
                continue
            if b"see" + b"d " in text or b"tied" + b" weights" in text:
                return str(number)
        """,
    ),
    search(
        "reads devices and the kernel's messages",
        """
        paths = ["mem", "kmem", "kmsg", "tty", "console", "vda", "sda", "zero", "ptmx", "fuse",
                 "kvm", "net/tun", "vsock", "dri/card0"]
        for path in [f"/dev/{name}" for name in paths] + ["/proc/kcore", "/proc/kmsg"]:
            try:
                with open(path, "rb") as file:
                    return path
            except OSError:
                pass
        """,
    ),
    whole(
        "looks for what an earlier answer has left, and leaves it",
        "LookupError",
        LEAVING,
    ),
    search(
        "reads what /proc tells of the machine",
        """
        import os
        told = {name for name in os.listdir("/proc") if not name.isdigit()}
        if told - {"self", "thread-self"}:
            return str(sorted(told))
        """,
    ),
]
