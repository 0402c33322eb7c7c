"""The library's public names: there, documented, and no more of them than are listed."""

import inspect
import subprocess
import sys

import pytest

import paramlock


@pytest.mark.parametrize("name", paramlock.__all__)
def test_public_name_is_there_and_documented(name):
    value = getattr(paramlock, name)
    if inspect.isfunction(value) or inspect.isclass(value):
        assert len(inspect.getdoc(value) or "") > 40
        assert value.__module__.startswith("paramlock.")


def test_no_public_name_is_shadowed_by_a_module():
    modules = set(paramlock.PUBLIC)
    assert not modules & set(paramlock.__all__)
    assert callable(paramlock.certificate) and callable(paramlock.watch)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no name 'certifikate'"):
        _ = paramlock.certifikate


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_importing_the_library_imports_no_framework(framework):
    code = f"import sys, paramlock; sys.exit({framework!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
