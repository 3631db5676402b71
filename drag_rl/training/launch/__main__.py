"""``python -m drag_rl.training.launch grpo|ppo|sft|dpo|retriever [options]``: what the scripts ``run_*.sh`` start."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from drag_rl.errors import InputError
from drag_rl.training.launch.plans import (
    dpo_launch,
    retriever_launch,
    rl_launch,
    sft_launch,
    steps_are_done,
)
from drag_rl.training.launch.trainer import Launch, TrainerFailedError, run_trainer

EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
EXIT_INTERRUPTED = 130


def plan(algorithm: str, options: Sequence[str]) -> Launch:
    """What to start, by the knobs in the environment."""
    if algorithm == "sft":
        return sft_launch(os.environ, options)
    if algorithm == "dpo":
        return dpo_launch(os.environ, options)
    if algorithm == "retriever":
        return retriever_launch(os.environ, options)
    return rl_launch(algorithm, os.environ, options)


def start(algorithm: str, options: Sequence[str]) -> int:
    """Run a training to its end; SFT ends with an export. Returns the exit code."""
    launch = plan(algorithm, options)
    launch.run.mkdir(parents=True, exist_ok=True)
    if algorithm != "sft":
        run_trainer(launch)
        return 0
    (launch.run / "metrics").mkdir(exist_ok=True)
    done = steps_are_done(launch.run, options)
    if done:
        print(f"[sft] all {done} steps are done", flush=True)  # noqa: T201 (a script's own output)
    else:
        run_trainer(launch)
    export = [sys.executable, "-m", "drag_rl.training.export", "--run", str(launch.run)]
    return subprocess.run(export, check=False).returncode


def main() -> int:
    """The command line: an algorithm, then options for its trainer."""
    algorithm, *options = sys.argv[1:]
    try:
        return start(algorithm, options)
    except (InputError, OSError) as error:
        sys.stderr.write(f"run_{algorithm}: {' '.join(str(error).split())}\n")
        return EXIT_BAD_INPUT
    except TrainerFailedError as error:
        sys.stderr.write(f"run_{algorithm}: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
