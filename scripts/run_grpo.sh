#!/usr/bin/env bash
# GRPO: train a model to search, online, in stock verl.
#
#   MODEL=Qwen/Qwen3-VL-8B-Instruct DATA=data RUN=runs/grpo bash scripts/run_grpo.sh [hydra overrides ...]
#
#   MODEL      path or hub id of the model to start from             (Qwen/Qwen3-VL-8B-Instruct)
#   DATA       folder with index/, pages/, questions.{train,val}.parquet   (data)
#   RUN        folder of this run: checkpoints, rollouts, logs; a run killed and started again resumes   (runs/grpo)
#   HARDWARE   gpu_8, gpu_1 or cpu: a file of configs/hardware        (what this machine has)
#   VAL        questions to validate on      (DATA/questions.val.parquet, or questions.test.parquet where there is none)
#   LORA_RANK  train a LoRA adapter of this rank; 0 trains all weights    (0)
#   ADAPTER    go on with this LoRA adapter: RUN/adapter of run_sft.sh; a merged or whole model is a MODEL  (none)
#   WANDB      1 adds Weights & Biases to console and TensorBoard     (0)
#
# Everything else is an option of configs/grpo.yaml or of verl, given at the end: actor_rollout_ref.rollout.n=16 ...
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.training.launch grpo "$@"
