"""Fence: imports point down only, and light entry points stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import drag_rl

ROOT = Path(__file__).parent.parent
PACKAGES = ("drag_rl", "reward", "data_preprocess")

LAYERS: tuple[tuple[str, ...], ...] = (
    ("drag_rl.cli",),
    ("drag_rl.view", "drag_rl.doctor", "drag_rl.service"),
    ("drag_rl.evaluation",),
    ("drag_rl.star", "drag_rl.handoff", "drag_rl.training", "data_preprocess"),
    ("drag_rl.verl_plugin", "reward.*_manager"),
    ("reward.*_model",),
    ("drag_rl.policies", "drag_rl.trajectories"),
    ("drag_rl.serving",),
    ("drag_rl.episode", "reward"),
    ("drag_rl.retrieval",),
    ("drag_rl.models", "drag_rl.corpus", "drag_rl.metrics"),
    ("drag_rl.cpu",),
    ("drag_rl",),  # what lies directly in it (errors, words, questions ...), types and files
)
"""Top to bottom, in rooms; a module may import its own room and the layers below, not the rooms beside it."""

BOTTOM = {"drag_rl.types", "drag_rl.files"}
FORBIDDEN: tuple[tuple[str, str], ...] = (("drag_rl.verl_plugin.agent_loop", "reward"),)
"""These meet in ``drag_rl.types.Outcome`` only, as do the rooms of one layer."""

FRONT_DOOR = "drag_rl"
"""What users import from: it knows every room, loads none before it is asked for a name, and no room asks."""

HEAVY = {"torch", "verl", "ray", "vllm", "transformers", "tensordict", "peft", "trl"}
HEAVY_ROOMS = {
    "drag_rl.training",
    "drag_rl.verl_plugin",
    "drag_rl.models",
    "drag_rl.cpu",
    "drag_rl.doctor",
    "reward.*_manager",
    "reward.*_model",
}
"""The rooms that may import them."""
HEAVY_PARTS = {
    "drag_rl.retrieval.late": {"torch", "transformers", "peft"},
    "drag_rl.cluster": {"ray"},
}
"""Parts of rooms that may import some of them."""


MODULES: dict[str, Path] = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def _room(module: str) -> str:
    """The room that a module lies in."""
    if module.startswith("reward.") and module.endswith(("_manager", "_model")):
        return f"reward.*_{module.rpartition('_')[2]}"
    package = ".".join(module.split(".")[:2])
    own = (
        package.startswith("drag_rl.")
        and (ROOT / package.replace(".", "/")).is_dir()
        and package not in BOTTOM
    )
    return package if own else module.split(".")[0]


def _layer(module: str) -> int:
    room = _room(module)
    found = [index for index, layer in enumerate(LAYERS) if room in layer]
    assert found, f"{module} belongs to no layer: add {room} to LAYERS, and to the design"
    return found[0]


@cache
def _imports(path: Path) -> set[str]:
    """Absolute names imported; ``from a import b`` gives ``a.b`` where that is a module, else ``a``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                names.add(full if full in MODULES else str(node.module))
    return names


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module):
    layer = 0 if module == FRONT_DOOR else _layer(module)
    ours = [name for name in _imports(MODULES[module]) if name.split(".")[0] in PACKAGES]
    above = [name for name in ours if _layer(name) < layer]
    assert not above, f"{module} imports upwards: {above}"
    rooms = [] if module == FRONT_DOOR else [name for name in ours if _room(name) != _room(module)]
    beside = [name for name in rooms if _layer(name) == layer]
    assert not beside, f"{module} imports from the room beside it: {beside}"
    crossed = [
        (name, other)
        for name in ours
        for one, other in FORBIDDEN
        if _under(module, one) and _under(name, other)
    ]
    assert not crossed, f"{module} imports what it must not know: {crossed}"


def test_no_room_uses_the_front_door():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == FRONT_DOOR and module != FRONT_DOOR:
                names = {alias.name for alias in node.names}
                assert not names & (set(drag_rl.__all__) - {"__version__"}), f"{module} imports {names}"


def _under(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("module", MODULES)
def test_what_lies_below_the_plugin_knows_no_heavy_library(module):
    heavy = {name.split(".")[0] for name in _imports(MODULES[module])} & HEAVY
    allowed = {name for part, names in HEAVY_PARTS.items() if _under(module, part) for name in names}
    assert heavy <= allowed or _room(module) in HEAVY_ROOMS


@pytest.mark.parametrize(
    "module", ["drag_rl", "drag_rl.cli.main", "drag_rl.episode", "drag_rl.retrieval", "reward"]
)
def test_light_entry_points_import_nothing_heavy(module):
    code = f"import sys, {module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_what_starts_with_every_python_imports_next_to_nothing():
    """An environment for the CPU has a start-up line of ours."""
    code = "import drag_rl.cpu.torchvision_ops, sys; print({'wrapt', 'asyncio', 'importlib.metadata'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr
