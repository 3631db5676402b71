#!/usr/bin/env bash
# A retriever that sees pages (late interaction: ColQwen3, or a reader of our own): learn from questions and the images
# of their gold pages.
#
#   MODEL=Qwen/Qwen3-VL-4B-Instruct PAGES=data/pages TRAIN=data/questions.train.parquet RUN=runs/retriever \
#       bash scripts/run_retriever.sh [option=value ...]
#
#   MODEL      path or hub id of the model to start from; folder of a reader; or `reader`, the one of the package
#                                                                    (Qwen/Qwen3-VL-4B-Instruct)
#   PAGES      folder of pages, with images, of `drag ingest`        (data/pages)
#   TRAIN      questions to learn from                               (data/questions.train.parquet)
#   VAL        questions to evaluate on; empty: no evaluation        (TRAIN's name with val, if there is one)
#   ADAPTER    adapter of MODEL to go on from
#   RUN        folder of this run; a run killed and started again resumes    (runs/retriever)
#   HARDWARE   gpu_8, gpu_1, gpu_32gb, gpu_24gb or cpu: a file of configs/retriever_hardware    (what this machine has)
#   RANKS      processes, one a device                               (8 for gpu_8, else 1)
#
# The result is RUN/adapter (PEFT), or RUN/model with lora.r=0 and of a reader; `python -m drag_rl.training.curves RUN` draws the curves.
# Options are those of configs/retriever.yaml: negatives.per_question=4 loss.name=pairwise ... A reader has other defaults of
# some: configs/retriever_reader.yaml.
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.training.launch retriever "$@"
