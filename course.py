"""Sets the course up and opens it.

It needs the standard library alone and keeps to syntax that Python 3.6 reads, so that an old
Python answers with a sentence. Words used below: the *place* is the environment the course lives
in: the folder `.venv` beside this file, or the conda environment made from environment.yml. The
*stamp* is a file in it that says what was installed; it is empty while that is being changed.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib import request

OLDEST: tuple = (3, 11)  # This course needs Python 3.11, 3.12 or 3.13: see python.org/downloads
NEWEST = (3, 13)
VERSION = tuple(sys.version_info[:2])
ROOT = Path(__file__).resolve().parent
ENV = ROOT / ".venv"
WINDOWS = os.name == "nt"

DISK_GB = 3.5  # the environment takes 2.2, with its test tools 3.0, as measured; and some room
COURSE = ["course", "jax", "torch"]  # the parts of the project that the course needs
EXTRAS: dict = {"lab": COURSE, "setup": COURSE, "site": COURSE, "test": [*COURSE, "test"]}
ESSENTIALS = ["pip", "torch", "jax", "jupyterlab", "ipykernel"]
CUDA = re.compile(r"(nvidia|cuda|triton)(-|$)")
CPU_PAGE = "https://pytorch.org/get-started/locally"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CPU_LIMIT = 20  # seconds in which that index has to say what it has
AGAIN = "Then run the same command again: it takes up the work by itself."

HELP = """Parameter locking, hands-on

  python course.py lab      open the course in JupyterLab (further arguments go to it,
                            for example --no-browser or --port 8890)
  python course.py test     run all tests (further arguments go to pytest); with --quick
                            those that take a few minutes
  python course.py site     write the course as pages to read, without a network, to the folder
                            build/site or another that you name
  python course.py setup    only set up

The first start makes the folder .venv here (about 0.5 GB to download, 2.2 GB on disk);
later ones take seconds. A machine without an NVIDIA GPU gets the CPU build of torch;
--accept-cuda lets pip take the CUDA build all the same."""


class Trouble(Exception):
    """What happened, the cause and the way out, in words for whoever reads the terminal."""


def main(arguments: list) -> int:
    try:
        return run(arguments)
    except Trouble as trouble:
        return complain(str(trouble))
    except OSError as error:
        return complain(explain(error))
    except KeyboardInterrupt:
        complain("Stopped. The same command takes it up again.")
        return 130


def run(arguments: list) -> int:
    check_python(VERSION)
    command, accept_cuda, rest = read_command(arguments)
    if command == "help":
        say(HELP)
        return 0
    folder, python = place()
    if not in_order(folder, python, EXTRAS[command]):
        with alone():
            set_up(folder, python, EXTRAS[command], accept_cuda)
    return HAND_ON[command](folder, python, rest)


def check_python(version: tuple) -> None:
    if OLDEST <= version <= NEWEST:
        return
    example = "py -3.12 course.py lab" if WINDOWS else "python3.12 course.py lab"
    raise Trouble(
        f"This is Python {dotted(version)}. The course runs on Python 3.11, 3.12 and 3.13, the "
        "versions that its packages are built for.\nInstall one of these "
        f"(https://www.python.org/downloads/) and start the course with it:\n    {example}"
    )


def dotted(version: tuple) -> str:
    return ".".join(map(str, version))


def read_command(arguments: list) -> tuple:
    """(command, whether CUDA is accepted, the arguments to pass on)."""
    if not arguments or arguments[0] in ("help", "-h", "--help"):
        return "help", False, []
    command, rest = arguments[0], [a for a in arguments[1:] if a != "--accept-cuda"]
    if command not in EXTRAS:
        raise Trouble(f"`{command}` is not a command of the course.\n\n{HELP}")
    if command == "setup" and rest:
        raise Trouble(f"`setup` takes no further arguments; it got `{' '.join(rest)}`.")
    return command, "--accept-cuda" in arguments, rest


def say(message: str) -> None:
    print(message, flush=True)


def complain(message: str) -> int:
    print("\n" + message, file=sys.stderr, flush=True)
    return 1


def explain(error: OSError) -> str:
    """A sentence for what the operating system refused to this program itself."""
    if error.errno == errno.ENOSPC:
        return no_space()
    return (
        f"The operating system refused something: {error}.\nThe course writes into its own folder, "
        f"{ROOT}. Where you may not write there, copy the course to a folder of yours; where "
        f"another program (an open JupyterLab, a virus scanner) holds a file, close it. {AGAIN}"
    )


def no_space() -> str:
    return (
        f"A disk is full. Setting up needs about {DISK_GB:.1f} GB in {ROOT} and, while it runs, up "
        f"to 1 GB in the temporary folder {tempfile.gettempdir()}.\nFree some space, or move the "
        f"course to a larger disk. {AGAIN}"
    )


# --- The place and its stamp ---------------------------------------------------------------------


def place() -> tuple:
    """(folder, interpreter) of the environment the course lives in."""
    if in_its_conda_environment():
        return Path(sys.prefix), Path(sys.executable)
    return ENV, ENV / ("Scripts/python.exe" if WINDOWS else "bin/python")


def in_its_conda_environment() -> bool:
    """Being in some conda environment is not yet leave to install into it."""
    from importlib import metadata  # an old Python has none

    if not (Path(sys.prefix) / "conda-meta").is_dir():
        return False
    return any(metadata.distributions(name="parameter-locking"))


def goal(extras: list) -> dict:
    """The stamp of a place that is in order."""
    sources = [(ROOT / name).read_bytes() for name in ("pyproject.toml", "constraints.txt")]
    return {
        "python": dotted(VERSION),
        "sources": hashlib.sha256(b"\0".join(sources)).hexdigest(),
        "root": str(ROOT),  # where the editable install points
        "extras": sorted(extras),
    }


def stamp_of(folder: Path) -> Path:
    return folder / "course-stamp.json"


def read_stamp(folder: Path) -> dict:
    """Empty where there is none, or where a set-up did not come to its end."""
    try:
        return dict(json.loads(stamp_of(folder).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def write_stamp(folder: Path, stamp: dict) -> None:
    """In one step, so that an interruption leaves the old one or the new one."""
    draft = stamp_of(folder).with_suffix(".draft")
    draft.write_text(json.dumps(stamp), encoding="utf-8")
    os.replace(str(draft), str(stamp_of(folder)))


def in_order(folder: Path, python: Path, extras: list) -> bool:
    stamp = read_stamp(folder)
    has = stamp.get("extras", [])
    return set(extras) <= set(has) and stamp == goal(has) and finds(python, ESSENTIALS)


def finds(python: Path, modules: list) -> bool:
    """Whether the interpreter starts, is of this Python's version and finds the modules."""
    code = (
        "import sys, importlib.util as u\n"
        f"sys.exit(sys.version_info[:2] != {VERSION} or None in map(u.find_spec, sys.argv[1:]))"
    )
    try:
        return quiet([str(python), "-I", "-c", code, *modules], clean()).returncode == 0
    except OSError:
        return False


def quiet(command: list, variables: dict, limit=None) -> subprocess.CompletedProcess:
    """Runs a short command, for `limit` seconds at most; what it says is kept for the caller."""
    return subprocess.run(
        command,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=limit,
    )


@contextlib.contextmanager
def alone():
    """One set-up at a time in this folder.

    pip inherits the lock, so that one which outlives a killed set-up is waited for; the system
    drops the lock when its last holder is gone.
    """
    with open(str(ROOT / "course.py"), "rb") as lock:
        os.set_inheritable(lock.fileno(), True)
        if not locked(lock):
            say("Another set-up is at work in this folder; waiting for it to end.")
        while not locked(lock):
            time.sleep(0.5)
        yield


def locked(lock: BinaryIO) -> bool:
    """Takes the lock if it is free. A file system that knows no locks holds nobody up."""
    try:
        if sys.platform == "win32":
            import msvcrt

            lock.seek(1 << 30)  # past the end: Windows keeps others from reading what is locked
            msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


# --- Setting up ----------------------------------------------------------------------------------


def set_up(folder: Path, python: Path, extras: list, accept_cuda: bool) -> None:
    if in_order(folder, python, extras):
        return  # another set-up did it while this one waited
    extras = sorted({*extras, *read_stamp(folder).get("extras", [])})
    prepare(folder, python)
    write_stamp(folder, {})
    install(folder, python, extras, accept_cuda)
    write_stamp(folder, goal(extras))


def prepare(folder: Path, python: Path) -> None:
    """Sees to it that there is a sound environment to install into."""
    if folder != ENV:
        return  # conda made it
    fault = fault_of(folder, python)
    if fault and os.path.lexists(str(folder)):
        say(f"Making {folder.name} anew: {fault}.")
        remove(folder, python)
    if fault:
        make(folder)


def fault_of(folder: Path, python: Path) -> str:
    """Why the environment cannot be built upon; empty where it can."""
    if not finds(python, ["pip"]):
        return f"it holds no working Python {dotted(VERSION)} with pip"
    if not stamp_of(folder).exists():
        return ""  # somebody's own, and nothing says that it was left in the middle
    if not read_stamp(folder):
        return "an earlier set-up did not come to its end"
    return "" if finds(python, ESSENTIALS) else "a part of it is missing"


def remove(folder: Path, python: Path) -> None:
    """The interpreter first: what an interruption leaves is then seen to be unsound."""
    if folder.is_symlink() or not folder.is_dir():
        raise Trouble(
            f"{folder} is a link or a file, where the course keeps a folder of its own. It was "
            f"left alone: move it away. {AGAIN}"
        )
    with contextlib.suppress(FileNotFoundError):
        python.unlink()
    shutil.rmtree(str(folder))


def make(folder: Path) -> None:
    check_venv_module()
    check_disk(DISK_GB)
    say(f"Making the environment {folder}")
    folder.mkdir()
    write_stamp(folder, {})
    # Run from inside .venv, sys.executable is the one just removed.
    base = getattr(sys, "_base_executable", None) or sys.executable
    done = quiet([base, "-m", "venv", str(folder)], clean())
    if done.returncode:
        raise Trouble(diagnose(done.stdout, "Making the environment"))


def check_venv_module() -> None:
    """Debian and its kin keep these modules apart from Python."""
    if find_spec("venv") and find_spec("ensurepip"):
        return
    raise Trouble(
        "This Python cannot make environments: its modules venv and ensurepip are not installed. "
        "Debian and Ubuntu keep them in a package of their own:\n"
        f"    sudo apt install python{dotted(VERSION)}-venv\n{AGAIN}"
    )


def check_disk(needed: float) -> None:
    free = shutil.disk_usage(str(ROOT)).free / 1e9
    if free < needed:
        raise Trouble(
            f"Only {free:.1f} GB are free on the disk of {ROOT}; setting up needs about "
            f"{needed:.1f} GB.\nFree some space, or move the course to a larger disk. {AGAIN}"
        )


def install(folder: Path, python: Path, extras: list, accept_cuda: bool) -> None:
    """Install pip and the build tools first, then the project.

    pip before 24 downloads whole packages to answer a question, and without isolated builds every
    tool is the pinned one and is fetched once.
    """
    project = ["-e", f".[{','.join(extras)}]"]
    pip(folder, python, ["pip", *build_tools()], "Preparing pip")
    packages = ask(folder, python, project)
    if cuda_in(packages) and not (accept_cuda or has_nvidia_gpu()):
        packages = avoid_cuda(folder, python, project, packages)
    announce_cuda(packages)
    pip(folder, python, project, "Installing", len(packages))
    # matplotlib looks through all fonts once: better now than in the middle of a lesson.
    quiet([str(python), "-c", "import matplotlib.font_manager"], environment(folder, python))


def build_tools() -> list:
    import tomllib  # an old Python has none

    with open(str(ROOT / "pyproject.toml"), "rb") as file:
        return list(tomllib.load(file)["build-system"]["requires"])


def ask(folder: Path, python: Path, project: list) -> dict:
    """The packages that pip would fetch, by name, with the address of each.

    fast-deps reads the metadata alone where an index would have pip download whole packages.
    """
    report = folder / "course-report.json"
    question = ["--dry-run", "--use-feature=fast-deps", "--report", str(report)]
    pip(folder, python, [*question, *project], "Asking what is needed")
    found = json.loads(report.read_text(encoding="utf-8"))["install"]
    return {plain(p["metadata"]["name"]): p["download_info"]["url"] for p in found}


def plain(name: str) -> str:
    """Packages write their names in several ways; this is the one the index uses."""
    return re.sub(r"[-_.]+", "-", name).lower()


# --- CUDA ----------------------------------------------------------------------------------------


def cuda_in(packages: dict) -> list:
    return sorted(name for name in packages if CUDA.match(name))


def avoid_cuda(folder: Path, python: Path, project: list, packages: dict) -> dict:
    """The packages that pip would fetch once the CPU build of torch is in place.

    Where that build is not to be had, CUDA is fetched only if a person asks for its gigabytes.
    """
    fault = fault_of_cpu_index(python)
    if not fault:
        say(
            "No NVIDIA GPU answers on this machine, so the CPU build of torch is taken from "
            f"PyTorch's own index, {CPU_INDEX}"
        )
        pip(folder, python, CPU_BUILD, "Taking the CPU build of torch")
        packages = ask(folder, python, project)
    if cuda_in(packages):
        ask_leave(cuda_words(packages, fault))
    return packages


# Torch alone: what it needs comes from where pip takes everything else.
CPU_BUILD = ["--no-deps", "--index-url", CPU_INDEX, "torch"]


def fault_of_cpu_index(python: Path) -> str:
    """Why the CPU build is not taken from PyTorch's index by itself; empty where it can be."""
    if has_index_settings(python):
        return "pip has index settings of its own here (`pip config list`); no other was asked."
    say("Asking PyTorch's CPU index")
    # In pip's many words (-vv) stands why an index did not answer.
    question = ["-vv", "--dry-run", "--use-feature=fast-deps", "--retries", "0", *CPU_BUILD]
    try:
        answer = quiet(pip_install(python, question), clean(), CPU_LIMIT)
    except subprocess.TimeoutExpired:
        return cpu_index_words(f"it did not answer within {CPU_LIMIT} s")
    return cpu_index_words(cause_in(answer.stdout)) if answer.returncode else ""


def has_index_settings(python: Path) -> bool:
    """Whether pip is told where to look, by variables or files of this machine or its user."""
    settings = quiet([str(python), "-m", "pip", "config", "list"], clean()).stdout
    names = "index-url|pypi-url|extra-index-url|find-links|no-index"
    return bool(re.search(rf"(?m)^(?:global|install|:env:)\.(?:{names})=(?!''$)", settings))


def cause_in(words: str) -> str:
    """Why pip got no build, by its words at -vv."""
    unreached = re.search(r"Could not fetch URL \S+: (.*) - skipping", words)
    if unreached:
        return unreached.group(1)
    if re.search(r"No matching distribution found|ResolutionImpossible", words):
        machine = f"Python {dotted(VERSION)} on {sysconfig.get_platform()}"
        return f"it has no torch of the version in constraints.txt for {machine}"
    return (re.findall(r"(?m)^ERROR: (.*)", words) or ["pip gave no reason"])[-1]


def cpu_index_words(cause: str) -> str:
    return f"PyTorch's own CPU index, {CPU_INDEX}, was asked and gave no build: {cause}."


def announce_cuda(packages: dict) -> None:
    if cuda_in(packages):
        size = cuda_gb(packages)
        say(f"Taking the CUDA build of torch: {gb_words(size)} to download.")
        check_disk(DISK_GB + 2 * size)  # unpacked, it is about twice what is downloaded


def cuda_words(packages: dict, fault: str) -> str:
    cuda = cuda_in(packages)
    return (
        f"pip would take the CUDA build of torch: {gb_words(cuda_gb(packages))} to download, "
        f"{len(cuda)} CUDA packages ({', '.join(cuda[:3])}, ...). No NVIDIA GPU answers on this "
        f"machine, and the course needs none.\n{fault}\n"
        "For the much smaller CPU build, do one of these:\n"
        f"  - set the environment variable PIP_EXTRA_INDEX_URL to the address that {CPU_PAGE} "
        "shows for Pip and CPU (it follows --index-url), then run the same command again;\n"
        "  - with conda: conda env create -f environment.yml\n"
        "To take the CUDA build all the same, add --accept-cuda to the command."
    )


def ask_leave(words: str) -> None:
    """Returns only if a person at the terminal says yes."""
    if not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty()):
        raise Trouble("Nothing was installed. " + words)
    say(words)
    with contextlib.suppress(EOFError):
        if input("Take the CUDA build now? [y/N] ").strip().lower() in ("y", "yes"):
            return
    raise Trouble("Nothing was installed.")


def has_nvidia_gpu() -> bool:
    try:
        return "GPU" in quiet(["nvidia-smi", "-L"], clean()).stdout
    except OSError:
        return False


def cuda_gb(packages: dict) -> float:
    return total_gb([packages[name] for name in packages if CUDA.match(name) or name == "torch"])


def total_gb(addresses: list) -> float:
    """0 where no server says how large its files are."""
    with ThreadPoolExecutor(8) as pool:
        return sum(pool.map(bytes_at, addresses)) / 1e9


def bytes_at(address: str) -> int:
    try:
        with request.urlopen(request.Request(address, method="HEAD"), timeout=10) as answer:
            return int(answer.headers["content-length"] or 0)
    except (OSError, ValueError):
        return 0


def gb_words(size: float) -> str:
    return f"at least {size:.1f} GB" if size >= 0.05 else "several GB"


# --- pip -----------------------------------------------------------------------------------------


def pip(folder: Path, python: Path, arguments: list, doing: str, total: int = 0) -> None:
    """`pip install` at our constraints: its words go to a log, its progress into one line."""
    log = folder / "course-pip.log"
    with open(str(log), "wb") as out:
        process = subprocess.Popen(
            pip_install(python, arguments),
            cwd=str(ROOT),
            env=clean(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            close_fds=False,  # it inherits the lock
        )
        watch(process, Progress(doing, total, log, folder))
    if process.returncode:
        raise Trouble(f"{diagnose(read(log), doing)}\npip's own words: {log}")


def pip_install(python: Path, arguments: list) -> list:
    constraints = ["-c", str(ROOT / "constraints.txt")]
    command = [str(python), "-m", "pip", "install", "--no-input", "--no-build-isolation"]
    return [*command, *constraints, *arguments]


def read(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def watch(process: subprocess.Popen, progress: "Progress") -> None:
    """Waits for pip, and takes it along when this program is stopped."""
    try:
        while process.poll() is None:
            progress.show()
            time.sleep(0.1)
        progress.end()
    except BaseException:
        process.terminate()
        process.wait()
        raise


class Progress:
    """One line saying how far pip is: redrawn on a terminal, else repeated now and then."""

    def __init__(self, doing: str, total: int, log: Path, folder: Path) -> None:
        self.doing, self.total, self.log = doing, total, log
        self.site = next(folder.glob("lib/python*/site-packages"), folder / "Lib/site-packages")
        self.before = self.installed()
        self.terminal = sys.stdout.isatty()
        self.start = self.due = time.monotonic()

    def show(self) -> None:
        now = time.monotonic()
        if now >= self.due:
            self.due = now + (0.5 if self.terminal else 15)
            self.draw(f"{self.doing}{self.share()} ({now - self.start:.0f} s)")

    def draw(self, line: str) -> None:
        if not self.terminal:
            say(line)
            return
        width = shutil.get_terminal_size().columns - 1
        print("\r" + line[:width].ljust(width), end="", flush=True)

    def end(self) -> None:
        self.due = 0.0
        self.show()
        if self.terminal:
            print()

    def share(self) -> str:
        """pip names what it fetches as it goes; then it installs in silence, a folder a package."""
        if not self.total:
            return ""
        words = read(self.log)
        if "Installing collected packages" in words:
            return f": {self.installed() - self.before} of {self.total} packages in place"
        fetched = re.findall(r"(?:Downloading|cached|Processing) .*?\.whl(?!\S)", words)
        return f": {len(set(fetched))} of {self.total} packages fetched"

    def installed(self) -> int:
        return sum(1 for _ in self.site.glob("*.dist-info"))


def diagnose(words: str, doing: str) -> str:
    """What pip ran into, by the signs that it leaves, and the way out."""
    if re.search(r"No space left|Errno 28|not enough space|quota exceeded", words):
        return f"{doing} stopped. {no_space()}"
    for sign, cause, way_out in SIGNS:
        found = re.search(sign, words)
        if found:
            return f"{doing} failed: {found.expand(cause)}.\n{way_out} {AGAIN}"
    last = "\n    ".join(words.strip().splitlines()[-5:])
    return f"{doing} failed; the last words were:\n    {last}\n{AGAIN}"


SIGNS = [
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLError",
        "the certificate of the package index was not accepted",
        "A network that inspects its traffic has a certificate of its own: name that file in the "
        "environment variable PIP_CERT. A wrong clock has the same effect.",
    ),
    (
        r"NewConnectionError|NameResolutionError|ProxyError|Max retries exceeded|[Tt]imed out"
        r"|getaddrinfo failed|Network is unreachable|Connection (?:refused|reset|aborted|broken)",
        "the package index cannot be reached",
        "Connect this machine to the network; where the network has a proxy, name it in the "
        "environment variable HTTPS_PROXY.",
    ),
    (
        r"(?:No matching distribution found for|available for your environment:)\s+(\S+)",
        rf"pip finds no \1 for Python {dotted(VERSION)} on {sysconfig.get_platform()}",
        "Where pip is told to use an index of its own (`pip config list`, variables PIP_...), "
        "that one lacks it. Otherwise try another Python from 3.11 to 3.13, or conda.",
    ),
    (
        r"ResolutionImpossible",
        "pyproject.toml and constraints.txt contradict each other",
        "Undo what was changed in them, or make them agree.",
    ),
]


# --- Handing on ----------------------------------------------------------------------------------


def open_lab(folder: Path, python: Path, arguments: list) -> int:
    mind_port(arguments)
    say("Starting JupyterLab. Its address follows; Ctrl-C here stops it.")
    return hand_on([str(python), "-m", "jupyterlab", *arguments], environment(folder, python))


def run_tests(folder: Path, python: Path, arguments: list) -> int:
    return hand_on([str(python), "-m", "pytest", *spread(arguments)], environment(folder, python))


def spread(arguments: list) -> list:
    """Over the cores, up to four: each process takes about 2 GB of memory."""
    if any(re.match(r"-n|--numprocesses|--dist|--pdb", argument) for argument in arguments):
        return arguments
    return ["-n", str(min(os.cpu_count() or 1, 4)), *arguments]


def write_site(folder: Path, python: Path, arguments: list) -> int:
    command = [str(python), "-m", "grader", "site", *arguments]
    return hand_on(command, environment(folder, python))


def tell(folder: Path, python: Path, arguments: list) -> int:
    say(f"The course is set up in {folder}. `python course.py lab` opens it.")
    return 0


HAND_ON = {"lab": open_lab, "test": run_tests, "site": write_site, "setup": tell}


def mind_port(arguments: list) -> None:
    """JupyterLab moves to another port by itself; whoever waits at the one asked for is told."""
    words = " ".join(arguments)
    asked = re.search(r"--(?:ServerApp\.)?port[ =](\d+)", words)
    port = int(asked.group(1) if asked else os.environ.get("JUPYTER_PORT", "8888"))
    if not answers(port):
        return
    taken = f"Port {port} is taken, perhaps by a course that is open already."
    if re.search(r"port[-_]retries[ =]0\b", words):
        raise Trouble(taken + " Close that one, or choose another port with --port.")
    say(taken + " JupyterLab takes another one: go by the address below.")


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def environment(folder: Path, python: Path) -> dict:
    """Jupyter, IPython and matplotlib keep their files in the place, none in the user's home."""
    own = folder / "course-home"
    return {
        **clean(),
        "PATH": str(python.parent) + os.pathsep + os.environ.get("PATH", ""),
        "JUPYTER_CONFIG_PATH": str(ROOT / "jupyter"),
        "JUPYTER_CONFIG_DIR": str(own / "config"),
        "JUPYTER_DATA_DIR": str(own / "data"),
        "JUPYTER_RUNTIME_DIR": str(own / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(own / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "IPYTHONDIR": str(own / "ipython"),
        "MPLCONFIGDIR": str(own / "matplotlib"),
    }


def clean() -> dict:
    """This process's environment without what would lead another Python astray."""
    astray = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
    kept = {name: value for name, value in os.environ.items() if name not in astray}
    return {**kept, "PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def hand_on(command: list, variables: dict) -> int:
    """The command takes this process's place, so that signals and exit code are its own."""
    os.chdir(str(ROOT))
    sys.stdout.flush()
    if not WINDOWS:
        os.execve(command[0], command, variables)
    return follow(command, variables)


def follow(command: list, variables: dict) -> int:
    """Windows has no exec. Ctrl-C reaches the command as well; it ends in its own way."""
    process = subprocess.Popen(command, env=variables)
    while True:
        with contextlib.suppress(KeyboardInterrupt):
            return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
