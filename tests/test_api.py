"""What users import from ``drag_rl``: every name is there, typed, and loaded when it is asked for."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import drag_rl

OWN = {"drag_rl", "drag_rl.interrupt"}


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, drag_rl; print(*(n for n in sys.modules if n.startswith(('drag_rl', 'numpy', 'pydantic'))))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert OWN <= set(done.stdout.split()) <= OWN | {"drag_rl.cpu", "drag_rl.cpu.torchvision_ops"}


@pytest.mark.parametrize("name", drag_rl.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    value = getattr(drag_rl, name)
    assert name in dir(drag_rl)
    assert name in {"__version__", "Action", "Message"} or value.__doc__


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(drag_rl.__file__).read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {alias.name: node.module for node in block.body for alias in node.names}
    assert seen == drag_rl._HOMES
    assert {*seen, "__version__"} == set(drag_rl.__all__)
    assert all(getattr(import_module(home), name) is getattr(drag_rl, name) for name, home in seen.items())


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'SearchEpisodes'"):
        drag_rl.SearchEpisodes  # noqa: B018
