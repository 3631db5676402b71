"""Ctrl-C while a command is still importing its modules: one line, status 130, whichever the command is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for package in ("drag_rl", "data_preprocess")
    for path in (ROOT / package).rglob("*.py")
    if "    run_app(" in path.read_text(encoding="utf-8") and path.name != "main.py"
)
PRESS_CTRL_C = """
import os, signal, sys

def press(event, arguments):
    main = sys.modules["__main__"]
    begun = getattr(main, "__spec__", None) or getattr(main, "__file__", None)
    if event == "import" and begun and arguments[0] in {"typer", "pydantic", "numpy", "torch"}:
        os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(press)
"""


@pytest.mark.parametrize("command", ["drag", *MODULES])
def test_ctrl_c_while_importing_is_one_line(command, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(PRESS_CTRL_C)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    words = [str(Path(sys.executable).with_name("drag"))] if command == "drag" else ["-m", command]
    done = subprocess.run(
        [sys.executable, *words, "--help"],
        env=os.environ | {"PYTHONPATH": path},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_other_processes_are_left_alone():
    code = "import sys, drag_rl; assert sys.excepthook is sys.__excepthook__"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
