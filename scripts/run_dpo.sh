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
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
die() { printf 'run_dpo: %s\n' "$*" >&2; exit 2; }
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
fi
# shellcheck source=scripts/machine.sh
source "$root/scripts/machine.sh"
MODEL=${MODEL:-Qwen/Qwen3-VL-8B-Instruct}
TRAIN=${TRAIN:-training_data/dpo_train.parquet}
VAL=${VAL-${TRAIN/%_train.parquet/_val.parquet}}
RUN=${RUN:-runs/dpo}
RANKS=${RANKS:-$([[ $HARDWARE == gpu_8 ]] && echo 8 || echo 1)}
[[ -f $TRAIN ]] || die "TRAIN=$TRAIN does not exist: make it with 'drag format --formats dpo'"
rows() { "$python" -c 'import sys, pyarrow.parquet as pq; print(pq.read_metadata(sys.argv[1]).num_rows)' "$1"; }
arguments=(--model "$MODEL" --train "$TRAIN" --out "$RUN" --config "$root/configs/dpo.yaml")
[[ -f $VAL && $(rows "$VAL") -gt 0 ]] && arguments+=(--val "$VAL")
mkdir -p "$RUN"
export TENSORBOARD_LOGGING_DIR=$RUN/tensorboard
run_trainer "$RUN/train.log" "$python" -m torch.distributed.run --standalone --nnodes=1 --nproc_per_node="$RANKS" \
    -m drag_rl.training.dpo "${arguments[@]}" "$@"
