"""The benchmark of large indexes runs, and its table has what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_corpus import write_pages

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "scale.py"


@pytest.mark.slow
def test_it_builds_opens_and_updates(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", [f"the fox number {n} saw {n * n} trees" for n in range(20)])
    command = [sys.executable, str(SCRIPT), str(pages), "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "update" in done.stdout
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    assert len(rows) == 1 and len(rows[0]) == 12 and rows[0][0].strip() == "150"
    assert all(float(cell) >= 0 for cell in rows[0])
