"""The benchmark of dense search runs, and its table has what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "dense.py"


@pytest.mark.slow
def test_flat_finds_everything_and_the_others_nearly_so() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "1500"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    found = {row[0].strip(): [float(cell.replace(",", "")) for cell in row[1:]] for row in rows}
    assert len(found) == 6 and all(len(cells) == 8 for cells in found.values())
    assert found["flat"][:2] == [1, 1] and all(cells[0] > 0.5 for cells in found.values())
