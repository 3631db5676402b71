#!/usr/bin/env bash
# DPO: learn from pairs of a better and a worse query, with TRL and a LoRA adapter. Prompts may show page images.
#
#   MODEL=models/sft TRAIN=training_data/dpo_train.parquet RUN=runs/dpo bash scripts/run_dpo.sh [option=value ...]
#
#   MODEL      path or hub id of the model to start from             (Qwen/Qwen3-VL-8B-Instruct)
#   TRAIN      dpo_train.parquet of `drag format`                    (training_data/dpo_train.parquet)
#   VAL        dpo_val.parquet; empty: no evaluation                 (TRAIN's, if it has rows)
#   RUN        folder of this run; a run killed and started again resumes    (runs/dpo)
#   HARDWARE   gpu_8, gpu_1 or cpu                                   (what this machine has)
#   RANKS      processes, one a device                               (8, 1 or 1)
#
# The result is RUN/adapter (PEFT). Options are those of configs/dpo.yaml: beta=0.2 lora.r=32 ...
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.training.launch dpo "$@"
