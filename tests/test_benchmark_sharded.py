"""The benchmark of shards runs, and its tables have what they promise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tiny_corpus import write_pages

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "sharded.py"


@pytest.mark.slow
def test_shards_are_built_and_searched_beside_one_index(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", [f"the fox number {n} saw {n * n} trees" for n in range(20)])
    command = [sys.executable, str(SCRIPT), str(pages), "150"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    assert [len(row) for row in rows] == [6, 9]
    assert all(float(cell.replace(",", "")) > 0 for row in rows for cell in row)
