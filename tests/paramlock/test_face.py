"""The library's public names: few, documented, alike in both frameworks, and seen by editors."""

import inspect
import os
import shutil
import subprocess
import sys
import zipfile

import pytest

import paramlock
import paramlock.flax
import paramlock.loggers
import paramlock.torch
from tests import ROOT

FACES = {
    "paramlock": paramlock,
    "paramlock.torch": paramlock.torch,
    "paramlock.flax": paramlock.flax,
    "paramlock.loggers": paramlock.loggers,
    "paramlock.mixing": paramlock.mixing,
}
NAMES = [(face, name) for face, module in FACES.items() for name in module.__all__]
TWINS = sorted({*paramlock.torch.__all__} & {*paramlock.flax.__all__})
MOST = 30  # names at the top


@pytest.mark.parametrize(("face", "name"), NAMES)
def test_a_public_name_is_there_and_documented(face, name):
    value = getattr(FACES[face], name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert len(inspect.getdoc(value) or "") > 40
        assert value.__module__.startswith("paramlock.")


@pytest.mark.parametrize("face", FACES)
def test_completion_offers_the_public_names_and_no_others(face):
    names = [*FACES[face].__all__, *(paramlock.FACES if face == "paramlock" else ())]
    assert sorted(names) == dir(FACES[face])


def test_few_names_stand_at_the_top():
    assert len(dir(paramlock)) <= MOST


def test_no_public_name_is_shadowed_by_a_module():
    folders = {path.stem for path in (ROOT / "paramlock").iterdir()}
    assert not folders & set(paramlock.__all__)
    assert callable(paramlock.certificate) and callable(paramlock.watch)


def test_import_star_leaves_a_learners_torch_alone():
    assert not {"torch", "flax"} & set(paramlock.__all__)


@pytest.mark.parametrize("face", ["paramlock", "paramlock.mixing"])
def test_an_unknown_name_is_an_attribute_error(face):
    with pytest.raises(AttributeError, match="no name 'certifikate'"):
        _ = FACES[face].certifikate


# --- twins


def parameters(face, name):
    return list(inspect.signature(getattr(face, name)).parameters.values())


def test_what_is_done_alike_is_called_alike():
    together = {"freeze", "unfreeze_gradually", "discriminative_rates", "hold", "prune"}
    assert {*TWINS} == together | {"reinitialise_units", "rescale_units"}


@pytest.mark.parametrize("name", TWINS)
def test_twins_take_the_same_arguments_after_the_first(name):
    """What one of them alone takes is a keyword: optimizers in torch, states in JAX."""
    ours, theirs = (parameters(face, name)[1:] for face in (paramlock.torch, paramlock.flax))
    shared = {p.name for p in ours} & {p.name for p in theirs}
    first, second = ([p for p in side if p.name in shared] for side in (ours, theirs))
    assert [(p.name, p.kind) for p in first] == [(p.name, p.kind) for p in second]
    alone = [p for p in (*ours, *theirs) if p.name not in shared]
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in alone)


# --- what importing loads

SLOW = ["matplotlib.pyplot", "IPython", "jupyterlab", "torch", "jax"]
BARE = "import paramlock; paramlock.Lock, paramlock.audit, paramlock.watch, paramlock.loggers"
TORCH = """
import torch, paramlock
model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
data = torch.randn(40, 4), torch.zeros(40, dtype=int)
optimizer = torch.optim.SGD(model.parameters(), 0.1)
loss = torch.nn.functional.cross_entropy
fisher = paramlock.fisher_diagonal(model, data)
found = paramlock.certificate(model, data, loss, optimizer=optimizer, fisher=fisher)
str(found), found._repr_html_(), str(paramlock.remedies(found)), found.to_json()
def step():
    with paramlock.watch(model, optimizer, every=1):
        penalty = paramlock.ewc_penalty(model, fisher, paramlock.anchor(model), strength=1.0)
        (loss(model(data[0]), data[1]) + penalty).backward()
        optimizer.step()
paramlock.torch.freeze(model, "0")
paramlock.assert_frozen(model, "0", step)
lock = paramlock.torch.prune(model, 0.5)
paramlock.torch.reinitialise_units(model, found)
paramlock.mixing.FrozenMixingNetwork(4, 2)(data[0])
"""
FLAX = """
import jax, optax, paramlock
import jax.numpy as jnp
from flax import linen
model = linen.Sequential([linen.Dense(3), linen.relu, linen.Dense(2)])
data = jnp.ones((40, 4)), jnp.zeros(40, int)
params = model.init(jax.random.key(0), data[0])["params"]
def loss(outputs, targets):
    return optax.losses.softmax_cross_entropy_with_integer_labels(outputs, targets).mean()
fisher = paramlock.fisher_diagonal(model, data, params={"params": params})
optimizer = paramlock.flax.freeze(optax.sgd(0.1), "layers_0")
state = optimizer.init(params)
given = {"params": params, "optimizer": (optimizer, state), "fisher": fisher}
found = paramlock.certificate(model, data, loss, **given)
str(found), found._repr_html_(), str(paramlock.remedies(found)), found.to_json()
def step(params):
    def whole(params):
        penalty = paramlock.ewc_penalty(params, fisher, paramlock.anchor(params), strength=1.0)
        return loss(model.apply({"params": params}, data[0]), data[1]) + penalty
    gradients = jax.grad(whole)(params)
    updates, _ = optimizer.update(gradients, state, params)
    paramlock.watch(every=1).note(params, gradients, updates)
    return optax.apply_updates(params, updates)
paramlock.assert_frozen(params, "layers_0", step)
pruned, held = paramlock.flax.prune(params, 0.5)
paramlock.flax.hold(optax.adam(0.1), held).init(pruned)
paramlock.flax.reinitialise_units(params, found)
paramlock.mixing.mix(data[0], "dct")
"""
PLOTS = "\nfound.plot(), found._repr_html_()"


def run(program, absent=()):
    blocked = f"import sys; sys.modules.update(dict.fromkeys({list(absent)!r}))\n"
    code = blocked + program + "\nprint(*[name for name, m in sys.modules.items() if m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    ("program", "may"),
    [(BARE, []), (TORCH, ["torch"]), (FLAX, ["jax", "IPython"])],  # Flax itself loads IPython
    ids=["bare", "torch", "flax"],
)
def test_only_what_is_used_is_loaded(program, may):
    assert not run(program) & ({*SLOW} - {*may})


NOTEBOOKS = ["IPython", "anywidget", "ipywidgets", "jupyterlab", "traitlets", "ipykernel"]


@pytest.mark.parametrize(
    ("program", "absent"),
    [(TORCH, ["jax", "flax", "optax", *NOTEBOOKS]), (FLAX, ["torch", *NOTEBOOKS])],
    ids=["torch", "flax"],
)
def test_one_framework_does_without_the_other_and_without_jupyter(program, absent):
    run(program + PLOTS, absent)


# --- what a type checker sees

SNIPPET = """
from torch import nn, optim

import paramlock
from paramlock.mixing import FrozenMixingNetwork


def main(model: nn.Module, optimizer: optim.Optimizer) -> str:
    names: tuple[str, ...] = paramlock.torch.freeze(model, "encoder")
    groups = paramlock.torch.discriminative_rates(model, ["encoder", "head"], lr=0.1)
    lock: paramlock.torch.Hold = paramlock.torch.prune(model, 0.9)
    with paramlock.watch(model, optimizer, every=10) as seen:
        steps: list[int] = seen.steps
    kinds = {kind.name: kind.colour for kind in paramlock.KINDS.values()}
    network = FrozenMixingNetwork(8, 2)
    return f"{names}, {groups[0]['lr']}, {lock.at_zero}, {steps}, {kinds}, {network.width}"


def judged(model: nn.Module) -> list[paramlock.Lock]:
    found: paramlock.Certificate = paramlock.certificate(model, (1, 2), max)
    return found.locks
"""
SETTINGS = """
[mypy]
strict = True
[mypy-torch.*,jax.*,flax.*,optax.*,numpy.*,matplotlib.*,PIL.*]
follow_imports = skip
"""
WRONG = """
import paramlock

paramlock.certifikate
paramlock.choose_entries({}, "half")
paramlock.torch.prune(sparsity="much")
steps: str = paramlock.watch().steps
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with the library in `site`, as pip puts it there from a wheel."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    shutil.copytree(ROOT / "paramlock", source / "paramlock")
    for name in ("pyproject.toml", "README.md", "LICENSE", "LICENSE-CONTENT", "NOTICE"):
        shutil.copy(ROOT / name, source)
    build = f"from setuptools import build_meta; build_meta.build_wheel({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=source, capture_output=True, check=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder


def checked(installed, code):
    """What mypy says of a file with this code; of the frameworks it knows no types, to be quick."""
    (installed / "snippet.py").write_text(code, encoding="utf-8")
    (installed / "mypy.ini").write_text(SETTINGS, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "snippet.py"],
        cwd=installed,
        env=os.environ | {"PYTHONPATH": str(installed / "site")},
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_a_users_code_is_checked_against_the_librarys_types(installed):
    assert (installed / "site/paramlock/py.typed").exists()
    assert "Success" in (said := checked(installed, SNIPPET)), said
    said = checked(installed, WRONG)
    assert 'has no attribute "certifikate"' in said and "Found 5 errors" in said, said
