"""Fence: imports point down only, and light entry points stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("drag_rl", "reward", "data_preprocess")

LAYERS: tuple[tuple[str, ...], ...] = (
    ("drag_rl.cli",),
    (
        "drag_rl.training",
        "drag_rl.trajectories",
        "drag_rl.evaluation",
        "drag_rl.view",
        "drag_rl.models",
        "data_preprocess",
    ),
    ("drag_rl.verl_plugin", "drag_rl.cpu", "reward.*_manager", "reward.*_model"),
    ("drag_rl.episode", "reward"),
    ("drag_rl.retrieval", "drag_rl.corpus", "drag_rl.metrics"),
    ("drag_rl",),  # the modules that lie directly in it: types, errors, parquet, ...
)
"""Top to bottom; a module may import its own layer and those below."""

FORBIDDEN: tuple[tuple[str, str], ...] = (
    ("reward", "drag_rl.episode"),
    ("drag_rl.episode", "reward"),
    ("drag_rl.verl_plugin.agent_loop", "reward"),
)
"""These meet in ``drag_rl.types.Outcome`` only."""

HEAVY = {"torch", "verl", "ray", "vllm", "transformers", "tensordict", "peft", "trl"}
ROLLOUT_LAYER = 2
"""Index of the only rollout-time layer that imports verl, ray and torch."""


MODULES: dict[str, Path] = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in sorted((ROOT / package).rglob("*.py"))
}


def _layer(module: str) -> int:
    if module.startswith("reward.") and module.endswith(("_manager", "_model")):
        return ROLLOUT_LAYER
    package = ".".join(module.split(".")[:2])
    if not (ROOT / package.replace(".", "/")).is_dir() or not package.startswith("drag_rl."):
        package = module.split(".")[0]
    found = [index for index, layer in enumerate(LAYERS) if package in layer]
    assert found, f"{module} belongs to no layer: add {package} to LAYERS, and to the design"
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
    layer = _layer(module)
    ours = [name for name in _imports(MODULES[module]) if name.split(".")[0] in PACKAGES]
    above = [name for name in ours if _layer(name) < layer]
    assert not above, f"{module} imports upwards: {above}"
    crossed = [
        (name, other)
        for name in ours
        for one, other in FORBIDDEN
        if _under(module, one) and _under(name, other)
    ]
    assert not crossed, f"{module} imports what it must not know: {crossed}"


def _under(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


@pytest.mark.parametrize("module", MODULES)
def test_what_lies_below_the_plugin_knows_no_heavy_library(module):
    heavy = {name.split(".")[0] for name in _imports(MODULES[module])} & HEAVY
    assert not heavy or _layer(module) <= ROLLOUT_LAYER


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
