"""course.py as a newcomer meets it, in folders with spaces in their paths.

Most tests set up a *tiny course*: the real course.py and a real pip, beside a project of a few
bytes whose packages are wheels made here. The last one sets up this course itself.
"""

import ast
import contextlib
import errno
import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import ROOT

SOURCE = (ROOT / "course.py").read_text(encoding="utf-8")
PYTHON = ".venv/Scripts/python.exe" if os.name == "nt" else ".venv/bin/python"

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "parameter-locking"
"""
BACKEND = """
import zipfile

NEEDS = "Requires-Dist: torch\\nRequires-Dist: jax\\nRequires-Dist: jupyterlab\\n"
NEEDS += "Requires-Dist: ipykernel\\nProvides-Extra: course\\nProvides-Extra: jax\\n"
NEEDS += "Provides-Extra: torch\\nProvides-Extra: test\\n"
NEEDS += "Requires-Dist: pytest; extra == 'test'\\n"


def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "parameter_locking-0.1.0-py3-none-any.whl"
    info = "parameter_locking-0.1.0.dist-info/"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        head = "Metadata-Version: 2.1\\nName: parameter-locking\\nVersion: 0.1.0\\n"
        wheel.writestr(info + "METADATA", head + NEEDS)
        wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nTag: py3-none-any\\n")
        wheel.writestr(info + "RECORD", "")
    return name
"""
TELLTALE = """
import json, os, sys
print(json.dumps({"arguments": sys.argv[1:], "folder": os.getcwd(), "variables": dict(os.environ)}))
sys.exit(3)
"""


def make_wheel(folder: Path, name: str, version: str = "1.0", needs: str = "", files=()) -> None:
    """A package with an empty module and the given files."""
    info = f"{name}-{version}.dist-info/"
    head = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    contents = {f"{name}/__init__.py": "", **dict(files)}
    contents[info + "METADATA"] = head + (f"Requires-Dist: {needs}\n" if needs else "")
    contents[info + "WHEEL"] = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    contents[info + "RECORD"] = ""
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        for path, text in contents.items():
            wheel.writestr(path, text)


class Tiny:
    """A tiny course and the machine around it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.wheels, self.home = folder / "my course", folder / "wheels", folder / "h"
        for made in (self.folder, self.wheels, self.home):
            made.mkdir()
        shutil.copy(ROOT / "course.py", self.folder)
        (self.folder / "pyproject.toml").write_text(PROJECT)
        (self.folder / "backend.py").write_text(BACKEND)
        (self.folder / "constraints.txt").write_text("torch==1.0\n")
        for name in ("torch", "jax", "ipykernel"):
            make_wheel(self.wheels, name)
        for name in ("jupyterlab", "pytest"):
            make_wheel(self.wheels, name, files={f"{name}/__main__.py": TELLTALE}.items())

    def variables(self, **more: str) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PIP_")}
        return kept | {
            "HOME": str(self.home),
            "PATH": str(self.home),  # holds no nvidia-smi
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
            **more,
        }  # fmt: skip

    def start(self, *arguments: str, **more: str) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "course.py", *arguments],
            cwd=self.folder,
            env=self.variables(**more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **more: str) -> tuple[int, str]:
        """Exit code and everything said."""
        with self.start(*arguments, **more) as process:
            said = process.communicate(timeout=120)[0]
        assert "Traceback" not in said
        return process.returncode, said

    def set_up(self) -> str:
        code, said = self.run("setup")
        assert code == 0, said
        return said


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return Tiny(tmp_path)


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Tiny:
    """One that is set up; it is shared, for a set-up takes seconds."""
    shared = Tiny(tmp_path_factory.mktemp("ready"))
    shared.set_up()
    return shared


@pytest.fixture
def course(tiny: Tiny):
    """course.py as a module, at home in the tiny course."""
    return load_course(tiny.folder)


def load_course(folder: Path):
    spec = importlib.util.spec_from_file_location("course", folder / "course.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- Pythons that are too old or too new ---------------------------------------------------------


def test_an_old_python_can_read_it():
    ast.parse(SOURCE, feature_version=(3, 6))


def test_it_needs_the_standard_library_alone():
    nodes = list(ast.walk(ast.parse(SOURCE)))
    names = {a.name for node in nodes if isinstance(node, ast.Import) for a in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names


def other_pythons() -> list[Path]:
    """Pythons the course does not run on, beside this one or on the PATH."""
    beside = Path(sys.base_prefix).parent.glob("[23].*/bin/python")
    on_path = (shutil.which(f"python3.{minor}") for minor in (6, 7, 8, 9, 10, 14, 15))
    found = [*beside, *(Path(path) for path in on_path if path)]
    return [python for python in found if version_of(python) and not supported(python)]


def version_of(python: Path) -> tuple[int, int] | None:
    code = "import sys; print('%d %d' % sys.version_info[:2])"
    with contextlib.suppress(OSError):
        said = subprocess.run([python, "-c", code], capture_output=True, text=True)
        if said.returncode == 0:
            major, minor = said.stdout.split()
            return int(major), int(minor)
    return None


def supported(python: Path) -> bool:
    return (3, 11) <= (version_of(python) or (0, 0)) <= (3, 13)


def test_other_pythons_on_this_machine_say_which_one_to_take():
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no older or newer Python on this machine")
    for python in pythons:
        command = [python, ROOT / "course.py", "lab"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 1 and "Traceback" not in done.stderr
        assert "3.11, 3.12" in done.stderr and "python.org/downloads" in done.stderr


@pytest.mark.parametrize("version", [(3, 10), (3, 14)])
def test_a_python_of_another_version_is_refused(course, capsys, monkeypatch, version):
    monkeypatch.setattr(course, "VERSION", version)
    assert course.main(["lab"]) == 1
    assert f"This is Python 3.{version[1]}." in capsys.readouterr().err


# --- Commands ------------------------------------------------------------------------------------


def test_without_arguments_it_says_what_it_can_do(course, capsys):
    assert course.main([]) == 0
    said = capsys.readouterr().out
    assert all(f"python course.py {name}" in said for name in ("lab", "test", "site", "setup"))


@pytest.mark.parametrize("arguments", [["open"], ["setup", "--fast"]])
def test_what_it_does_not_know_it_names(course, capsys, arguments):
    assert course.main(arguments) == 1
    assert f"`{arguments[-1]}`" in capsys.readouterr().err


def test_the_second_start_installs_nothing_and_needs_no_network(ready):
    log = ready.folder / ".venv/course-pip.log"
    before = log.stat().st_mtime_ns
    code, said = ready.run("setup", PIP_FIND_LINKS=os.devnull)
    assert code == 0 and "The course is set up" in said and "Installing" not in said
    assert log.stat().st_mtime_ns == before


def test_lab_and_test_hand_on_arguments_exit_code_and_surroundings(ready):
    code, said = ready.run("lab", "--no-browser", "--port", "9")
    told = json.loads(said.splitlines()[-1])
    assert code == 3 and told["arguments"] == ["--no-browser", "--port", "9"]
    assert told["variables"]["JUPYTER_CONFIG_PATH"] == str(ready.folder / "jupyter")
    assert Path(told["variables"]["JUPYTER_DATA_DIR"]).is_relative_to(ready.folder / ".venv")
    code, said = ready.run("test", "-k", "a name")
    told = json.loads(said.splitlines()[-1])
    spread = ["-n", str(min(os.cpu_count(), 4))]
    assert code == 3 and told["arguments"] == [*spread, "-k", "a name"]
    assert told["folder"] == str(ready.folder) and "anew" not in said
    own = json.loads(ready.run("test", "-n", "1")[1].splitlines()[-1])
    assert own["arguments"] == ["-n", "1"], "who says how many is not overruled"
    assert list(ready.home.rglob("*")) == []


def test_a_changed_pin_is_brought_in_without_starting_anew(ready):
    make_wheel(ready.wheels, "torch", "1.1")
    (ready.folder / "constraints.txt").write_text("torch==1.1\n")
    assert "anew" not in ready.set_up()
    assert list(ready.folder.glob(".venv/**/torch-1.1.dist-info"))


def test_it_knows_the_conda_environment_made_for_it(course, monkeypatch, tmp_path):
    assert course.place()[0] == course.ENV
    (tmp_path / "conda-meta").mkdir()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert course.place() == (tmp_path, Path(sys.executable))


def test_where_there_is_no_exec_it_waits_and_passes_the_exit_code_on(course):
    assert course.follow([sys.executable, "-c", "raise SystemExit(5)"], dict(os.environ)) == 5


# --- Environments left half made -----------------------------------------------------------------


def forget_the_end(folder: Path) -> None:
    (folder / ".venv/course-stamp.json").write_text("{}")


def lose_the_interpreter(folder: Path) -> None:
    (folder / PYTHON).unlink()


def lose_a_package(folder: Path) -> None:
    (package,) = folder.glob(".venv/**/site-packages/torch")
    shutil.rmtree(package)


def lose_everything(folder: Path) -> None:
    shutil.rmtree(folder / ".venv")
    (folder / ".venv").mkdir()


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lose_a_package, "a part of it is missing"),
        (forget_the_end, "an earlier set-up did not come to its end"),
        (lose_the_interpreter, "it holds no working Python"),
        (lose_everything, "it holds no working Python"),
    ],
)
def test_a_half_made_environment_is_seen(ready, harm, fault):
    harm(ready.folder)
    module = load_course(ready.folder)
    assert fault in module.fault_of(*module.place())


def test_a_rerun_recovers(ready):
    forget_the_end(ready.folder)
    assert "Making .venv anew: " in ready.set_up()
    assert (ready.folder / PYTHON).exists()
    assert "Making" not in ready.set_up()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_killed_in_the_middle_it_recovers(tiny):
    with tiny.start("setup") as process:
        wait_for(lambda: (tiny.folder / ".venv/course-pip.log").exists())
        process.kill()
    assert "an earlier set-up did not come to its end" in tiny.set_up()


@pytest.mark.skipif(os.name == "nt", reason="Windows delivers Ctrl-C to a whole console")
def test_stopped_by_ctrl_c_it_says_how_to_go_on(tiny):
    with tiny.start("setup") as process:
        wait_for(lambda: (tiny.folder / ".venv/course-pip.log").exists())
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=30)[0]
    assert process.returncode == 130 and "Stopped." in said and "Traceback" not in said


def wait_for(condition) -> None:
    deadline = time.monotonic() + 60
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)


def test_somebodys_own_environment_is_built_upon_not_removed(tiny):
    subprocess.run([sys.executable, "-m", "venv", tiny.folder / ".venv"], check=True)
    own = tiny.folder / ".venv/own notes.txt"
    own.write_text("mine")
    assert "anew" not in tiny.set_up() and own.exists()


def test_a_link_in_its_place_is_left_alone(tiny, tmp_path):
    (tiny.folder / ".venv").symlink_to(tmp_path / "elsewhere")
    code, said = tiny.run("setup")
    assert code == 1 and "It was left alone: move it away." in said


def test_two_at_a_time_wait_for_each_other(tiny, course):
    with course.alone():
        process = tiny.start("setup")
        assert "Another set-up is at work" in process.stdout.readline()
        assert not (tiny.folder / ".venv").exists()
    with process:
        assert "The course is set up" in process.stdout.read()


# --- Machines that lack something ----------------------------------------------------------------


def test_without_a_network_it_says_so(tiny):
    nowhere = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_RETRIES": "1"}
    code, said = tiny.run("setup", PIP_FIND_LINKS=os.devnull, **nowhere)
    assert code == 1 and "the package index cannot be reached" in said


def test_a_package_that_is_not_to_be_had_is_named(tiny):
    (tiny.wheels / "jax-1.0-py3-none-any.whl").unlink()
    code, said = tiny.run("setup")
    assert code == 1 and "pip finds no jax for Python" in said


def test_a_pin_that_this_machine_has_no_build_of_is_named(course):
    words = "no matching distributions available for your environment:\n    torch\n"
    said = course.diagnose(words + "ERROR: ResolutionImpossible", "Asking what is needed")
    assert "pip finds no torch for Python" in said


def test_a_disk_too_small_is_noticed_before_anything_is_made(course, capsys, monkeypatch):
    usage = shutil.disk_usage(course.ROOT)._replace(free=10**9)
    monkeypatch.setattr(course.shutil, "disk_usage", lambda path: usage)
    assert course.main(["setup"]) == 1
    said = capsys.readouterr().err
    assert "Only 1.0 GB are free" in said and "needs about 3.5 GB" in said
    assert not course.ENV.exists()


def test_a_disk_that_fills_up_on_the_way_is_named(course, capsys, monkeypatch):
    words = "ERROR: Could not install packages: [Errno 28] No space left on device"
    assert "A disk is full." in course.diagnose(words, "Installing")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(course, "set_up", full)
    assert course.main(["setup"]) == 1
    assert "A disk is full." in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(course, capsys, monkeypatch):
    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(course.ENV))

    monkeypatch.setattr(course, "set_up", refuse)
    assert course.main(["setup"]) == 1
    said = capsys.readouterr().err
    assert str(course.ENV) in said and "copy the course to a folder of yours" in said


def test_debians_missing_venv_is_named_with_its_package(course, monkeypatch):
    monkeypatch.setattr(course, "find_spec", lambda name: None)
    with pytest.raises(course.Trouble, match=r"sudo apt install python3\.\d+-venv"):
        course.check_venv_module()


def test_other_failures_show_pips_last_words(course):
    said = course.diagnose("one\ntwo\nthe reason", "Installing")
    assert "Installing failed" in said and "the reason" in said


# --- CUDA ----------------------------------------------------------------------------------------


@pytest.fixture
def tiny_cuda(tiny: Tiny) -> Tiny:
    make_wheel(tiny.wheels, "torch", needs="nvidia-cublas")
    make_wheel(tiny.wheels, "nvidia_cublas", files={"weight": "0" * 60_000_000}.items())
    return tiny


def test_cuda_without_a_gpu_stops_with_its_size_and_the_way_to_the_cpu_build(tiny_cuda):
    code, said = tiny_cuda.run("lab")
    assert code == 1 and "Nothing was installed." in said
    assert "at least 0.1 GB to download, 1 CUDA packages (nvidia-cublas" in said
    assert ways_out_in(said) and not has_package(tiny_cuda, "torch")


def test_cuda_is_taken_when_told(tiny_cuda):
    code, said = tiny_cuda.run("setup", "--accept-cuda")
    assert code == 0 and "Taking the CUDA build" in said
    assert has_package(tiny_cuda, "nvidia_cublas")


def ways_out_in(said: str) -> bool:
    return all(way in said for way in ("PIP_EXTRA_INDEX_URL", "environment.yml", "--accept-cuda"))


def has_package(tiny: Tiny, name: str) -> bool:
    return bool(list(tiny.folder.glob(f".venv/**/site-packages/{name}")))


CUDA = {"torch": "file:///none/torch.whl", "nvidia-cublas": "file:///none/nvidia.whl"}


def test_cuda_is_told_with_its_size(course, capsys):
    course.announce_cuda(CUDA)
    assert "Taking the CUDA build of torch: several GB" in capsys.readouterr().out


def test_there_is_not_a_word_where_no_cuda_is_drawn(course, capsys):
    course.announce_cuda({"torch": CUDA["torch"], "jax": "file:///none/jax.whl"})
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("answer", "goes_on"), [("yes", True), ("", False), (EOFError, False)])
def test_at_a_terminal_a_yes_goes_on(course, monkeypatch, answer, goes_on):
    def reply(prompt: str) -> str:
        if answer is EOFError:
            raise EOFError
        return answer

    monkeypatch.setattr("builtins.input", reply)
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(getattr(sys, stream), "isatty", lambda: True)
    expected = contextlib.nullcontext() if goes_on else pytest.raises(course.Trouble)
    with expected:
        course.ask_leave("Gigabytes.")


def test_sizes_are_asked_of_the_server(course):
    class Large(http.server.BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("content-length", str(1_500_000_000))
            self.end_headers()

        def log_message(self, *_) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Large) as server:
        threading.Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}/a.whl"
        assert course.gb_words(course.total_gb([address, address])) == "at least 3.0 GB"
        server.shutdown()
    assert course.gb_words(course.total_gb([address])) == "several GB"


# --- The CPU build, from an index of its own -----------------------------------------------------


class Indexes(http.server.ThreadingHTTPServer):
    """Two package indexes on one port, each with a page per package: `/pypi` and `/cpu`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), functools.partial(Pages, directory=str(folder)))
        self.folder, self.asked, self.delay = folder, [], threading.Event()
        self.delay.set()

    def add(self, index: str, name: str, **wheel) -> None:
        page = self.folder / index / name.replace("_", "-")
        page.mkdir(parents=True)
        make_wheel(page, name, **wheel)

    def address(self, index: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{index}"


class Pages(http.server.SimpleHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path.startswith("/cpu/"):
            self.server.delay.wait(60)
        with contextlib.suppress(ConnectionError):  # whoever asked may have stopped waiting
            super().do_GET()

    def log_message(self, *_) -> None: ...


@pytest.fixture
def indexes(tmp_path: Path):
    """PyPI holds the CUDA build of torch, and PyTorch's index the CPU build with a trap beside."""
    with Indexes(tmp_path / "indexes") as server:
        server.add("pypi", "torch", needs="nvidia-cublas")
        for name in ("nvidia_cublas", "jax", "ipykernel", "jupyterlab"):
            server.add("pypi", name)
        server.add("cpu", "torch", version="1.0+cpu", needs="jax")
        server.add("cpu", "jax", version="2.0")
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.delay.set()
        server.shutdown()


class Newcomer(Tiny):
    """A tiny course on a machine whose pip has no settings: what pip takes for PyPI, and course.py
    for PyTorch's index, are served here."""

    def __init__(self, folder: Path, bare: Path, indexes: Indexes) -> None:
        super().__init__(folder)
        self.put("CPU_INDEX", indexes.address("cpu"))
        self.put("CPU_LIMIT", 120)  # a busy machine is not a slow index
        shutil.copytree(bare, self.folder / ".venv", symlinks=True)
        (site,) = {pip.parent for pip in self.folder.glob(".venv/**/site-packages/pip")}
        pypi = f"pip._internal.models.index.PyPI.simple_url = '{indexes.address('pypi')}'"
        (site / "pypi.pth").write_text(f"import pip._internal.models.index; {pypi}\n")

    def put(self, constant: str, value: object) -> None:
        """Writes another value into this copy of course.py."""
        path = self.folder / "course.py"
        line = re.compile(rf"^{constant} = \S+", re.M)
        text, count = line.subn(f"{constant} = {value!r}", path.read_text(encoding="utf-8"))
        assert count == 1
        path.write_text(text, encoding="utf-8")

    def variables(self, **more: str) -> dict[str, str]:
        theirs = {k: v for k, v in super().variables().items() if k not in OWN_INDEX}
        return theirs | more


OWN_INDEX = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX")


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Path:
    """An environment with pip alone; a copy is quicker than another one."""
    folder = tmp_path_factory.mktemp("bare") / ".venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    return folder


@pytest.fixture
def newcomer(tmp_path: Path, bare: Path, indexes: Indexes) -> Newcomer:
    return Newcomer(tmp_path, bare, indexes)


def cpu_index_was_asked(indexes: Indexes) -> bool:
    return any(path.startswith("/cpu/") for path in indexes.asked)


def test_the_cpu_build_is_taken_by_itself_and_nothing_else_from_its_index(newcomer, indexes):
    code, said = newcomer.run("setup")
    assert code == 0, said
    assert (
        f"the CPU build of torch is taken from PyTorch's own index, {indexes.address('cpu')}"
        in (said)
    )
    assert list(newcomer.folder.glob(".venv/**/torch-1.0+cpu.dist-info"))
    assert list(newcomer.folder.glob(".venv/**/jax-1.0.dist-info"))
    assert not has_package(newcomer, "nvidia_cublas")
    before = len(indexes.asked)
    assert newcomer.run("setup")[0] == 0 and len(indexes.asked) == before


def stops(newcomer: Newcomer) -> str:
    """What is said where the CPU build is not to be had."""
    code, said = newcomer.run("lab")
    assert code == 1 and "Nothing was installed. pip would take the CUDA build" in said
    assert ways_out_in(said) and not has_package(newcomer, "torch")
    return said


def test_a_cpu_index_that_is_slow_is_not_waited_for(newcomer, indexes):
    newcomer.put("CPU_LIMIT", 3)
    indexes.delay.clear()
    said = stops(newcomer)
    assert (
        f"{indexes.address('cpu')}, was asked and gave no build: it did not answer within 3 s"
        in (said)
    )


def test_a_cpu_index_that_is_gone_is_told_with_the_cause(newcomer):
    newcomer.put("CPU_INDEX", "http://127.0.0.1:9/cpu")
    assert "gave no build: connection error: " in stops(newcomer)


def test_a_cpu_index_without_this_package_is_told_with_the_cause(newcomer, indexes):
    newcomer.put("CPU_INDEX", indexes.address("nothing"))
    assert "gave no build: 404 " in stops(newcomer)


def test_a_cpu_index_without_the_pinned_build_is_told_with_the_cause(newcomer, indexes):
    shutil.rmtree(indexes.folder / "cpu/torch")
    indexes.add("cpu", "torch", version="0.9+cpu")
    assert "gave no build: it has no torch of the version in" in stops(newcomer)


def test_an_index_of_ones_own_wins(newcomer, indexes):
    code, said = newcomer.run("lab", PIP_EXTRA_INDEX_URL=indexes.address("pypi"))
    assert code == 1 and ways_out_in(said) and not cpu_index_was_asked(indexes)
    assert "pip has index settings of its own here" in said


def test_accepted_cuda_wins(newcomer, indexes):
    code, said = newcomer.run("setup", "--accept-cuda")
    assert code == 0 and "Taking the CUDA build" in said and not cpu_index_was_asked(indexes)
    assert has_package(newcomer, "nvidia_cublas")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a shell script")
def test_a_gpu_that_answers_wins(newcomer, indexes):
    answers = newcomer.home / "nvidia-smi"
    answers.write_text("#!/bin/sh\necho 'GPU 0: a GPU'\n")
    answers.chmod(0o755)
    code, said = newcomer.run("setup")
    assert code == 0 and "Taking the CUDA build" in said and not cpu_index_was_asked(indexes)
    assert has_package(newcomer, "nvidia_cublas")


@pytest.mark.parametrize("name", OWN_INDEX)
def test_index_settings_are_known_from_variables(course, without_settings, name):
    assert not course.has_index_settings(Path(sys.executable))
    without_settings.setenv(name, "")  # as good as none
    assert not course.has_index_settings(Path(sys.executable))
    without_settings.setenv(name, "1")
    assert course.has_index_settings(Path(sys.executable))


def test_index_settings_are_known_from_files(course, without_settings, tmp_path):
    settings = tmp_path / "pip.conf"
    settings.write_text("[install]\nextra_index_url =\n    http://one.invalid\n    http://two\n")
    without_settings.setenv("PIP_CONFIG_FILE", str(settings))
    assert course.has_index_settings(Path(sys.executable))


@pytest.fixture
def without_settings(monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return monkeypatch


def test_the_address_of_the_cpu_index_stands_in_one_place(course):
    kinds = {".py", ".md", ".toml", ".txt", ".yml", ".ipynb"}
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*") if path.suffix in kinds]
    own = [path for path in paths if path.parts[0] not in (".git", ".venv")]
    counts = {path: (ROOT / path).read_bytes().count(course.CPU_INDEX.encode()) for path in own}
    assert {str(path): count for path, count in counts.items() if count} == {"course.py": 1}


# --- Ports ---------------------------------------------------------------------------------------


@pytest.fixture
def busy_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_busy_port_is_told(course, capsys, busy_port):
    course.mind_port([f"--port={busy_port}"])
    assert f"Port {busy_port} is taken" in capsys.readouterr().out


def test_a_busy_port_stops_where_no_other_may_be_taken(course, busy_port):
    with pytest.raises(course.Trouble, match="choose another port with --port"):
        course.mind_port(["--port", str(busy_port), "--ServerApp.port_retries=0"])


def test_a_free_port_is_not_worth_a_word(course, capsys):
    course.mind_port(["--port", "9"])
    assert capsys.readouterr().out == ""


# --- The course itself ---------------------------------------------------------------------------


def test_from_nothing_to_a_served_welcome_page(tmp_path, busy_port):
    """The real thing: a minute or two, most of it pip's."""
    folder = copy_of_the_course(tmp_path / "a fresh copy")
    first, second = (seconds(start, folder) for start in (set_up_for_real, set_up_without_network))
    assert second < first / 2
    with lab(folder, tmp_path / "home", busy_port) as (said, address):
        assert f"Port {busy_port} is taken" in said
        assert "/lab/tree/welcome.md?token=" in address
        names = {entry["name"] for entry in fetch(address, "/api/contents/")["content"]}
        assert {"lessons", "labs", "welcome.md"} <= names
        assert names <= {"lessons", "labs", "solutions", "welcome.md"}
        assert list(fetch(address, "/api/kernelspecs")["kernelspecs"]) == ["python3"]
    assert list((tmp_path / "home").rglob("*")) == []


def copy_of_the_course(folder: Path) -> Path:
    """What a fresh clone would hold if everything here were committed."""
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").split()
    names = [".git", *(pattern.strip("/") for pattern in ignored)]
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*names)))


def set_up_for_real(folder: Path) -> None:
    """With leave to take the CUDA build: where pip draws that one, these tests run beside it."""
    command = [sys.executable, "course.py", "setup", "--accept-cuda"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if "cannot be reached" in done.stderr and not os.environ.get("CI"):
        pytest.skip("no network to install from")
    assert done.returncode == 0, done.stdout + done.stderr


def set_up_without_network(folder: Path) -> None:
    """What the second start does, with nothing to install from."""
    without = os.environ | {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": os.devnull}
    subprocess.run([sys.executable, "course.py", "setup"], cwd=folder, env=without, check=True)


def seconds(start: Callable[[Path], None], folder: Path) -> float:
    begin = time.monotonic()
    start(folder)
    return time.monotonic() - begin


@contextlib.contextmanager
def lab(folder: Path, home: Path, port: int):
    """A JupyterLab of the copy: what it said until it gave its address, and the address."""
    home.mkdir()
    process = subprocess.Popen(
        [sys.executable, "course.py", "lab", "--no-browser", f"--port={port}"],
        cwd=folder,
        env=os.environ | {"HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        said = ""
        while not (address := re.search(r"http://localhost:\d+/\S+", said)):
            line = process.stdout.readline()
            assert line, said
            said += line
        try:
            yield said, address[0]
        finally:
            process.send_signal(signal.SIGINT)
            said += process.stdout.read()
    assert process.returncode == 0, said


def fetch(address: str, path: str) -> dict:
    """An answer of the server, which prints its address a moment before it listens."""
    base, token = re.fullmatch(r"(http://[^/]+)/.*\?token=(\w+)", address).groups()
    port = int(base.rpartition(":")[2])
    wait_for(lambda: can_connect(port))
    with urllib.request.urlopen(f"{base}{path}?token={token}", timeout=60) as answer:
        return json.load(answer)


def can_connect(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("localhost", port), timeout=1):
        return True
    return False
