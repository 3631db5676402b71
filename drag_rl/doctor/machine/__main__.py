"""``python -m drag_rl.doctor.machine``: what ``scripts/check_gpu.sh`` starts. Exit code 1 if a stage failed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from drag_rl.doctor.machine.report import Result, report
from drag_rl.doctor.machine.runs import Peak, StageError
from drag_rl.doctor.machine.stages import REAL_MODEL_STAGES, STAGES, Check, Seen
from drag_rl.doctor.machine.world import make_world
from drag_rl.errors import InputError
from drag_rl.training.launch.knobs import read_knobs
from drag_rl.training.launch.plans import known_hardware

LIMIT_S = 600.0
LIMIT_ON_CPU_S = 2400.0


def run_stages(stages: Mapping[str, Callable[[Check], Seen]], check: Check, model: str) -> list[Result]:
    """Each stage's result; one that fails is reported, and the rest goes on."""
    results = []
    for stage, run in stages.items():
        print(f"[check] {model}: {stage} ...", flush=True)  # noqa: T201 (a script's own output)
        started, check.peak = time.monotonic(), Peak()
        seen: Seen = {}
        cause = None
        try:
            seen = run(check)
        except Exception as error:  # whatever it is, it is this stage's result
            cause = str(error) if isinstance(error, StageError) else f"{type(error).__name__}: {error}"
        seconds = time.monotonic() - started
        results.append(Result(model, stage, seconds, check.peak, seen, cause))
        said = f"FAILED: {cause}" if cause is not None else f"ok, {seconds:.0f} s"
        print(f"[check] {model}: {stage}: {said}", flush=True)  # noqa: T201
    return results


def main() -> int:
    """Check this machine by the knobs in the environment; prints and writes the report."""
    try:
        knobs = read_knobs("check", os.environ)
        hardware = known_hardware(knobs["HARDWARE"], "hardware")
    except InputError as error:
        sys.stderr.write(f"check_gpu: {error}\n")
        return 2
    started = time.monotonic()
    folder = Path(knobs["RUN"]).absolute() / f"{datetime.now(UTC):%Y%m%dT%H%M%S}"
    folder.mkdir(parents=True)
    world = make_world(folder / "world")
    tiny = folder / "tiny"
    subprocess.run([sys.executable, "-m", "drag_rl.models.tiny", "--out", str(tiny)], check=True)
    limit_s = LIMIT_ON_CPU_S if hardware == "cpu" else LIMIT_S
    check = Check(folder / "run", hardware, str(tiny), world, limit_s, tiny=True)
    results = run_stages(STAGES, check, "tiny")
    if knobs["MODEL"]:
        check = Check(folder / "run-model", hardware, knobs["MODEL"], world, limit_s, tiny=False)
        results += run_stages(REAL_MODEL_STAGES, check, knobs["MODEL"])
    text = report(results, hardware, time.monotonic() - started)
    (folder / "report.md").write_text(text, encoding="utf-8")
    print(f"\n{text}\n[check] the report is {folder / 'report.md'}", flush=True)  # noqa: T201
    return int(any(result.cause is not None for result in results))


if __name__ == "__main__":
    sys.exit(main())
