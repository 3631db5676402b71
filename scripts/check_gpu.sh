#!/usr/bin/env bash
# Check a machine: SFT, GRPO on text and on page images, PPO, an adapter with weight sync, a kill and a resume, and vLLM
# serving the adapter, each once, on a tiny model, with the scripts that you would use. Ends with a report to paste.
#
#   bash scripts/check_gpu.sh
#
#   HARDWARE   gpu_8, gpu_1 or cpu: a file of configs/hardware        (what this machine has)
#   MODEL      also SFT, GRPO on page images and serving of this model, with an adapter; path or hub id   (none)
#   RUN        folder for the runs, their logs and the report: a new one in it each time   (runs/check)
#
# A stage that fails is reported with its cause, and the rest goes on; the exit code is then 1. One stage after the
# other, on one GPU with HARDWARE=gpu_1.
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.doctor.machine "$@"
