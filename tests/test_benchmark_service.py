"""The service's benchmark runs, and its table has what it promises."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_corpus import write_pages

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "service_speed.py"


@pytest.mark.slow
def test_both_servers_are_asked_by_all_clients(tmp_path: Path) -> None:
    pages = write_pages(tmp_path / "pages", [f"the fox number {n} saw {n * n} trees" for n in range(20)])
    command = [sys.executable, str(SCRIPT), str(pages), "150"]
    environment = os.environ | {"ROUNDS": "1", "SECONDS": "0.2"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("│ ").split("│") for line in done.stdout.splitlines() if line.startswith("│")]
    assert [row[0].strip() for row in rows] == ["1"] * 3 + ["8"] * 3 + ["64"] * 7
    assert all(float(cell.replace(",", "")) > 0 for row in rows for cell in row[2:])
