#!/usr/bin/env bash
# STaR: rounds of collect -> filter -> format -> SFT, each collecting with the model that the round before has trained.
#
#   MODEL=Qwen/Qwen3-VL-8B-Instruct DATA=data RUN=runs/star bash scripts/star.sh --rounds 2
#
#   --rounds N    how many rounds                                                (1)
#   MODEL         path or hub id; every round trains this model anew, as STaR does   (Qwen/Qwen3-VL-8B-Instruct)
#   DATA          folder with index/, pages/, questions.{train,val}.parquet      (data)
#   RUN           folder of this run: round-1, round-2, ...; run again to go on  (runs/star)
#   SAMPLES       episodes of each question                                      (4)
#   SAMPLING      greedy, low_temp, default, high_temp, creative or diverse      (default)
#   LIMIT         only the first so many training questions; 0 for all           (0)
#   EPISODE       settings of the episode: "max_turns=3 observation=both"        (the defaults)
#   FIRST_EPISODE more of them for collecting with the untrained model: "shots=3"; not part of what is trained   (none)
#   HINTS         1: questions never solved are played once more with the gold page shown (rationalisation)      (0)
#   FORMAT        sft_trajectory, sft_query, sft_best or sft_context             (sft_trajectory)
#   ABOVE_MEAN    1: only samples that rank gold better than the mean of their question's samples               (0)
#   PER_QUESTION  at most so many examples of a question; 0 for all              (2)
#   MAX_TOKENS    of one message                                                 (512)
#   CONCURRENCY   episodes played at a time                                      (64)
#   VAL           questions to compare the rounds on; empty: no comparison       (DATA/questions.val.parquet)
#   SEED          of sampling and of the trainer                                 (1)
#   VLLM          options for vLLM: "--tensor-parallel-size 8"                   (none)
#   HARDWARE LORA_RANK MASK WEIGHT RANKS LAUNCHER WANDB                          as in run_sft.sh
#
# Options after -- go to the SFT trainer: bash scripts/star.sh --rounds 2 -- optim.lr=2e-5
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
die() { printf 'star: %s\n' "$*" >&2; exit 2; }
rounds=1
while [[ $# -gt 0 ]]; do
    case $1 in
        --rounds)
            rounds=${2:-}
            shift 2 || die "--rounds: say how many"
            ;;
        --)
            shift
            break
            ;;
        *) die "unknown option $1: use --rounds N, knobs in the environment, and options of the trainer after --" ;;
    esac
done
[[ $rounds =~ ^[1-9][0-9]*$ ]] || die "--rounds $rounds: give a whole number from 1"
"$python" -m drag_rl.training.launch.knobs star || exit 2
drag=("$python" -m drag_rl.cli.main)
together=("$python" -m drag_rl.cli.together)

export MODEL=${MODEL:-Qwen/Qwen3-VL-8B-Instruct}
DATA=${DATA:-data}
RUN=${RUN:-runs/star}
FORMAT=${FORMAT:-sft_trajectory}
EPISODE=${EPISODE:-}
sft_val=(env -u VAL) # VAL names questions here, rows in run_sft.sh
if [[ -z ${VAL+set} ]]; then
    VAL=$DATA/questions.val.parquet
elif [[ -z $VAL ]]; then
    sft_val=(env VAL=)
elif [[ ! -f $VAL ]]; then
    die "VAL=$VAL does not exist"
fi
LORA_RANK=${LORA_RANK:-0}
SEED=${SEED:-1}
for path in index questions.train.parquet; do
    [[ -e $DATA/$path ]] || die "DATA=$DATA has no $path: build it first (docs/data.md)"
done
mkdir -p "$RUN"
pages=()
[[ -d $DATA/pages ]] && pages=(--pages "$DATA/pages")
say() { printf '\n\033[1m[star] %s\033[0m\n' "$*"; }

policy() { # of round $1: what to serve, and the settings of its episodes
    serve=(--model-path "$MODEL" --max-tokens "${MAX_TOKENS:-512}" "${pages[@]}" --vllm-options "${VLLM:-}"
        --concurrency "${CONCURRENCY:-64}")
    if [[ $1 == 1 ]]; then
        episode="$EPISODE ${FIRST_EPISODE:-}"
        return
    fi
    episode=$EPISODE
    local trained=$RUN/round-$(($1 - 1))/sft
    if [[ $LORA_RANK -gt 0 ]]; then
        serve+=(--adapter "adapter=$trained/adapter" --model adapter)
    else
        serve[1]=$trained/model
    fi
}

measure() { # the policy of round $1 on held-out questions, as words of a command
    measuring=()
    [[ -f $VAL ]] || return 0
    policy "$1"
    measuring=(evaluate --questions "$VAL" --index "$DATA/index" --output "$RUN/after-$(($1 - 1))-rounds.json"
        "${serve[@]}" --episode "$episode")
}

for ((round = 1; round <= rounds; round++)); do
    folder=$RUN/round-$round
    mkdir -p "$folder"
    measure "$round"
    policy "$round"
    collect=(collect --questions "$DATA/questions.train.parquet" --index "$DATA/index" --limit "${LIMIT:-0}"
        "${serve[@]}" --episode "$episode" --sampling "${SAMPLING:-default}" --seed "$((100 * SEED + round))")
    plays=("${collect[@]}" --samples "${SAMPLES:-4}" --out "$folder/trajectories.jsonl")
    inputs=(--input "$folder/trajectories.jsonl")
    if [[ ${HINTS:-0} == 1 ]]; then
        plays+=(--then "${collect[@]}" --hint-failures "$folder/trajectories.jsonl" --out "$folder/hinted.jsonl")
        inputs+=(--input "$folder/hinted.jsonl")
    fi
    say "round $round of $rounds: ${measuring:+measure, }collect"
    "${together[@]}" "${measuring[@]}" ${measuring:+--then} "${plays[@]}" # one vLLM for all
    say "round $round of $rounds: filter, format"
    filter=(--per-question "${PER_QUESTION:-2}")
    [[ ${ABOVE_MEAN:-0} == 1 ]] && filter+=(--above-mean)
    "${drag[@]}" filter "${inputs[@]}" --output "$folder/processed.jsonl" "${filter[@]}"
    split=()
    [[ $round -gt 1 ]] && split=(--split-from "$RUN/round-1/training_data")
    "${drag[@]}" format --input "$folder/processed.jsonl" --output-dir "$folder/training_data" \
        --formats "$FORMAT" --episode "shots=0 $EPISODE" "${pages[@]}" "${split[@]}"
    say "round $round of $rounds: SFT"
    if [[ -d $folder/sft/model || -d $folder/sft/adapter ]]; then
        echo "already trained: $folder/sft (delete it to train again)"
    else
        LORA_RANK=$LORA_RANK TRAIN="$folder/training_data/${FORMAT}_train.parquet" RUN="$folder/sft" \
            "${sft_val[@]}" bash "$root/scripts/run_sft.sh" trainer.seed="$SEED" "$@"
    fi
done
measure $((rounds + 1))
if [[ -f $VAL ]]; then
    "${drag[@]}" "${measuring[@]}"
    say "the rounds against the untrained model, on $VAL"
    results=()
    for ((round = 0; round <= rounds; round++)); do results+=("$RUN/after-$round-rounds.json"); done
    "${drag[@]}" compare "${results[@]}" --out "$RUN/comparison"
fi
say "success, hit@1 and first-search MRR by round"
"$python" -m drag_rl.evaluation.rounds "$RUN"
