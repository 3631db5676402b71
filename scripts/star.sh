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
#   SAMPLING      how a model's words are drawn: a name that drag collect --help lists   (default)
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
exec "$python" -m drag_rl.training.launch.star "$@"
