#!/usr/bin/env bash
# From nothing to a trained searcher, on any machine: about 27 minutes on 2 CPU cores after the downloads.
#
#   bash scripts/quickstart.sh
#
#   DATA    folder for PDFs, pages, index, questions      (data/quickstart)
#   RUN     folder of the training run                    (runs/quickstart)
#   SENTENCES  of each manual, one of a page, that are the training questions   (200)
#   QUESTIONS  of them for the warm start; 0 for all   (300)
#   STEPS   GRPO steps   (12)
#   TURNS   searches of an episode in GRPO and in the measurement: with 2 the model reads the hits and searches again;
#           35 minutes in all, or 28 more after a run with 1, whose warm start is taken and which is kept   (1)
#   VISUAL  1: afterwards the same questions are asked of the pages' images, which a small model reads, alone and together
#           with the text; 3 minutes more   (0)
#   SEED    of sampling and of both trainers              (1)
#   PDF_DIR your own PDFs, instead of the sample manuals from Debian packages
#
# Everything is reused when it is there already: run it again and it goes on where it was.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
DATA=${DATA:-data/quickstart}
RUN=${RUN:-runs/quickstart}
SENTENCES=${SENTENCES:-200}
QUESTIONS=${QUESTIONS:-300}
STEPS=${STEPS:-12}
TURNS=${TURNS:-1}
SEED=${SEED:-1}
VISUAL=${VISUAL:-0}
MODEL=models/smollm2-135m-vl
for knob in SENTENCES QUESTIONS STEPS SEED; do
    [[ ${!knob} =~ ^(0|[1-9][0-9]{0,8})$ ]] || { echo "quickstart: $knob=${!knob}: give a whole number" >&2; exit 2; }
done
[[ $TURNS =~ ^[1-9]$ ]] || { echo "quickstart: TURNS=$TURNS: give 1 to 9 searches" >&2; exit 2; }
[[ $VISUAL =~ ^[01]$ ]] || { echo "quickstart: VISUAL=$VISUAL: give 0 or 1" >&2; exit 2; }

# Knobs of the scripts that this one starts, which it sets itself or leaves at their defaults.
unset VAL ADAPTER LORA_RANK WANDB HARDWARE SAMPLES SAMPLING LIMIT EPISODE FIRST_EPISODE HINTS FORMAT ABOVE_MEAN \
    PER_QUESTION MAX_TOKENS CONCURRENCY VLLM MASK WEIGHT RANKS LAUNCHER TRAIN

started=$SECONDS
step() { printf '\n\033[1;36m[quickstart %4ds] %s\033[0m\n' $((SECONDS - started)) "$*"; }

step "1/9 environment"
bash scripts/setup.sh cpu
# shellcheck disable=SC1091
source .venv/bin/activate

step "2/9 sample corpus: real PDF manuals"
python -m data_preprocess.sample_corpus --data-dir "$DATA" --size small ${PDF_DIR:+--pdf-dir "$PDF_DIR"}

step "3/9 ingest: PDFs -> pages"
drag ingest --pdf-dir "$DATA/pdfs" --out "$DATA/ingested"

step "4/9 questions with known pages; what they were made from is removed from pages and images"
python -m data_preprocess.build --pages "$DATA/ingested" --out-pages "$DATA/pages" --out "$DATA" \
    --kind faq --kind sentence --sentences "$SENTENCES"

step "5/9 index: bm25s over the pages"
drag index --pages "$DATA/pages" --out "$DATA/index"
drag search --index "$DATA/index" --top-k 3 "How do I read a spreadsheet?"

step "6/9 model: SmolLM2-135M in a Qwen2-VL body"
python -m drag_rl.models.smol --out "$MODEL"

# The episode: searches only, for the question's words and the model's. A model that has learnt the protocol needs few
# words to be told of it.
search="max_turns=1 answer=false think=false snippet_chars=80 system_prompt=brief expand_question=true"
episode=$search questions=16 suffix=""
if [[ $TURNS -gt 1 ]]; then # each search lists new pages, so that a budget of searches is one of pages
    episode="$search max_turns=$TURNS repeat_pages=false snippet_chars=40 show_page_ids=false"
    questions=12 suffix=-$TURNS # longer episodes, so fewer of them a step
fi

step "7/9 warm start: the model's own successful searches, drawn with three worked examples, become training data"
env MODEL="$MODEL" DATA="$DATA" RUN="$RUN/star" HARDWARE=cpu VAL="" EPISODE="$search" FIRST_EPISODE=shots=3 \
    SEED="$SEED" SAMPLES=4 ABOVE_MEAN=1 LIMIT="$QUESTIONS" MAX_TOKENS=24 CONCURRENCY=128 \
    bash scripts/star.sh -- optim.lr=3e-5 trainer.total_epochs=3 trainer.save_freq=-1

step "8/9 GRPO in verl, without examples: $STEPS steps of $questions questions x 8 episodes, searches in each: $TURNS"
trained=$RUN/grpo$suffix
if [[ -d $trained/model ]]; then
    echo "already trained: $trained (delete it to train again)"
else
    options=()
    for setting in $episode; do options+=("drag.episode.$setting"); done
    env HARDWARE=cpu MODEL="$RUN/star/round-1/sft/model" DATA="$DATA" RUN="$trained" bash scripts/run_grpo.sh \
        trainer.total_training_steps="$STEPS" data.train_batch_size="$questions" \
        actor_rollout_ref.actor.ppo_mini_batch_size="$questions" data.max_prompt_length=128 \
        data.max_response_length=$((TURNS * 24 + (TURNS - 1) * 128)) drag.turn_tokens=24 drag.observation_tokens=120 \
        algorithm.filter_groups.enable=true algorithm.filter_groups.metric=reward \
        actor_rollout_ref.actor.optim.lr=2e-5 algorithm.rollout_correction.bypass_mode=true \
        actor_rollout_ref.actor.ppo_max_token_len_per_gpu=1536 \
        data.seed="$SEED" actor_rollout_ref.rollout.seed="$SEED" trainer.total_epochs=1000 trainer.save_freq=8 \
        trainer.test_freq=3 actor_rollout_ref.rollout.val_kwargs.{do_sample=true,temperature=1,n=2} "${options[@]}"
    python -m drag_rl.training.export --run "$trained"
fi
python -m drag_rl.training.curves "$trained"

step "9/9 before and after, on the questions that are printed in manuals never trained on"
shown=()
measure() { # name, policy ...
    shown+=("$RUN/results/$1$suffix.json")
    drag evaluate --questions "$DATA/questions.test.parquet" --index "$DATA/index" --output "${shown[-1]}" \
        --max-tokens 48 --concurrency 128 --episode "$episode" "${@:2}"
}
measure untrained --model-path "$MODEL" --episode shots=3
measure sft --model-path "$RUN/star/round-1/sft/model"
measure grpo --model-path "$trained/model"
measure question --policy raw-question # of several searches it reads on in its own ranking
[[ $TURNS -gt 1 ]] && measure feedback --policy feedback
drag compare "${shown[@]}" --out "$RUN/results/comparison$suffix"
drag view "$RUN/results/grpo$suffix.json" "$trained" --pages "$DATA/pages" --thumbnails 300 \
    --out "$RUN/report$suffix.html"

if [[ $VISUAL == 1 ]]; then
    step "visual: the same questions, of pages that are seen and not read, by a model that comes along"
    drag index --kind late --model reader --pages "$DATA/pages" --out "$DATA/index-visual"
    drag index --kind fuse --part "$DATA/index" --part "$DATA/index-visual" --out "$DATA/index-both"
    seen=()
    for index in index index-visual index-both; do
        seen+=("$RUN/results/visual/$index.json")
        drag evaluate --questions "$DATA/questions.test.parquet" --index "$DATA/$index" --output "${seen[-1]}" \
            --policy raw-question --episode "$search"
    done
    drag compare "${seen[@]}" --across-indexes --out "$RUN/results/comparison-visual"
    drag search --index "$DATA/index-visual" --top-k 3 --explain "$RUN/why.png" "How do I read a spreadsheet?"
fi

printf '\nDone in %d s. Look at\n' $((SECONDS - started))
printf '  %-48s %s\n' \
    "$RUN/report$suffix.html" "every question, query and hit; rollouts and curves (open it in a browser)" \
    "$RUN/results/comparison$suffix" "the table above, with intervals, as Markdown, JSON and a picture" \
    "$trained/curves.png" "the same held-out questions every three steps: reward and rank score" \
    "tensorboard --logdir $trained/tensorboard" "every metric of verl, and ours under drag/"
cat <<END
Next
  source .venv/bin/activate
  drag search --index $DATA/index "your own keywords"
  TURNS=2 bash scripts/quickstart.sh                           let it read the hits and search again
  STEPS=64 RUN=runs/longer bash scripts/quickstart.sh          train longer
  MODEL=Qwen/Qwen3-VL-8B-Instruct bash scripts/run_grpo.sh     the real thing, on 8 GPUs (README)
  docs/data.md: bring your own PDFs
END
