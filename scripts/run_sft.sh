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
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
die() { printf 'run_sft: %s\n' "$*" >&2; exit 2; }
if [[ ${1:-} == -h || ${1:-} == --help ]]; then
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
    exit 0
fi
# shellcheck source=scripts/machine.sh
source "$root/scripts/machine.sh"

MODEL=${MODEL:-Qwen/Qwen3-VL-8B-Instruct}
TRAIN=${TRAIN:-training_data/sft_trajectory_train.parquet}
VAL=${VAL-${TRAIN/%_train.parquet/_val.parquet}}
RUN=${RUN:-runs/sft}
LORA_RANK=${LORA_RANK:-0}
LAUNCHER=${LAUNCHER:-torchrun}
hardware=$root/configs/sft_hardware/$HARDWARE.yaml
[[ -f $hardware ]] || die "HARDWARE=$HARDWARE: use cpu, gpu_1 or gpu_8"
[[ -f $TRAIN ]] || die "TRAIN=$TRAIN does not exist: make it with 'drag format'"
[[ $LAUNCHER == torchrun || $LAUNCHER == ray ]] || die "LAUNCHER=$LAUNCHER: use torchrun or ray"
RANKS=${RANKS:-$(sed -n 's/^ *n_gpus_per_node: *//p' "$hardware")}
mkdir -p "$RUN"
RUN=$(cd "$RUN" && pwd)

options=(
    sft_hardware="$HARDWARE"
    model.path="$MODEL"
    data.train_files="$(realpath "$TRAIN")"
    data.drag.mask_strategy="${MASK:-assistant}"
    data.drag.weight_scheme="${WEIGHT:-rank-score}"
    trainer.default_local_dir="$RUN/checkpoints"
    trainer.experiment_name="$(basename "$RUN")"
    trainer.n_gpus_per_node="$RANKS"
)
rows() { "$python" -c 'import sys, pyarrow.parquet as pq; print(pq.read_metadata(sys.argv[1]).num_rows)' "$1"; }
if [[ -f $VAL && $(rows "$VAL") -gt 0 ]]; then
    options+=(data.val_files="$(realpath "$VAL")")
else
    options+=(trainer.test_freq=-1)
fi
[[ ${WANDB:-0} == 1 ]] && options+=('trainer.logger=[console,tensorboard,file,wandb]')
if [[ $LORA_RANK -gt 0 ]]; then
    options+=(
        model.lora_rank="$LORA_RANK" model.lora_alpha=$((2 * LORA_RANK)) optim.lr=2e-4
        "model.exclude_modules='.*visual.*'"
    )
fi

# verl opens its metrics file anew at each start; a resumed run must not lose the earlier ones.
mkdir -p "$RUN/metrics"
metrics=$RUN/metrics/$(date -u +%Y%m%dT%H%M%S).jsonl
export TENSORBOARD_DIR=$RUN/tensorboard VERL_FILE_LOGGER_PATH=$metrics
if [[ $LAUNCHER == ray ]]; then
    command=("$python" -m verl.trainer.sft_trainer_ray)
    # verl asks Ray for one GPU a rank; here a rank is a process.
    [[ $HARDWARE == cpu ]] && export RAY_OVERRIDE_RESOURCES="{\"GPU\": $RANKS, \"CPU\": $((16 * RANKS))}"
else
    command=("$python" -m torch.distributed.run --standalone --nnodes=1 --nproc_per_node="$RANKS" -m verl.trainer.sft_trainer)
fi
command+=(--config-path "$root/configs" --config-name sft "hydra.run.dir=$RUN/hydra" "${options[@]}" "$@")
printf '%q ' "${command[@]}" >"$RUN/command.txt"
printf '[sft] %s on %s (%s, %s ranks), run folder %s\n' "$MODEL" "$HARDWARE" "$LAUNCHER" "$RANKS" "$RUN"
# A run that has ended resumes at its last step; verl would then go one step past total_training_steps.
last=''
for option in "$@"; do [[ $option == trainer.total_training_steps=* ]] && last=${option#*=}; done
step=$(cat "$RUN/checkpoints/latest_checkpointed_iteration.txt" 2>/dev/null || echo 0)
if [[ $last =~ ^[0-9]+$ && $step -ge $last ]]; then
    printf '[sft] all %s steps are done\n' "$last"
else
    run_trainer "$RUN/train.log" "${command[@]}"
fi
"$python" -m drag_rl.training.export --run "$RUN"
