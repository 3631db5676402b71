"""The benchmark of late interaction runs, and its tables have what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "late.py"


@pytest.mark.slow
def test_candidates_and_all_pages_are_timed() -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "60"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    scored = {row[0].strip(): [float(cell) for cell in row[1:]] for row in rows if len(row) == 3}
    assert len(scored) == 8 and scored["numpy, float32"][1] == 1
    assert scored["ours, Hamming"][1] > 3, "bits are much quicker than numbers, whatever else runs"
    [corpus] = [[float(cell) for cell in row] for row in rows if len(row) == 10]
    float32, bfloat16, bits = corpus[-3:]
    assert float32 / bfloat16 == pytest.approx(2, rel=0.1) and float32 / bits == pytest.approx(32, rel=0.3)
