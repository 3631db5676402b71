#!/usr/bin/env bash
# SFT: the warm start on conversations of `drag format`, in stock verl. Ends with a model or an adapter to serve.
#
#   MODEL=Qwen/Qwen3-VL-8B-Instruct TRAIN=training_data/sft_trajectory_train.parquet RUN=runs/sft bash scripts/run_sft.sh
#
#   MODEL      path or hub id of the model to start from             (Qwen/Qwen3-VL-8B-Instruct)
#   TRAIN      a *_train.parquet of `drag format`                    (training_data/sft_trajectory_train.parquet)
#   VAL        a *_val.parquet for the validation loss; empty: none  (TRAIN's, if it has rows)
#   RUN        folder of this run; a run killed and started again resumes    (runs/sft)
#   HARDWARE   gpu_8, gpu_1 or cpu: a file of configs/sft_hardware   (what this machine has)
#   LORA_RANK  train a LoRA adapter of this rank; 0 trains all weights       (0)
#   MASK       none, search-only or assistant: the tokens that carry loss    (assistant)
#   WEIGHT     none, rank-score or binary: how rows are weighted     (rank-score)
#   RANKS      processes, one a device                               (what HARDWARE says)
#   LAUNCHER   torchrun, or ray: the same trainer as one Ray job     (torchrun)
#   WANDB      1 adds Weights & Biases                               (0)
#
# The result is RUN/model (all weights) or RUN/adapter (LoRA, PEFT format). Other options are Hydra overrides at the
# end: optim.lr=2e-4 trainer.total_epochs=2 ...
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.training.launch sft "$@"
