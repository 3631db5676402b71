#!/usr/bin/env bash
# Install what is missing, then check everything: lint, types, scripts, unit tests, end-to-end tests.
#
#   bash scripts/test.sh                 everything that CI runs
#   bash scripts/test.sh fast            without the slow end-to-end tests
#   bash scripts/test.sh soak            kills at random moments, ten minutes; CI kills at named events instead
#   bash scripts/test.sh -k images       any pytest arguments: only pytest, with them
#
#   PROFILE=gpu      fast: the tests of what differs with the packages of a GPU machine, in .venv-gpu, also without a GPU;
#                    what trains there is checked by scripts/check_gpu.sh
#   WORKERS          processes that run unit tests   (one more than CPUs, as some tests wait; at most 8)
#   LANES            processes that run end-to-end tests; each needs up to 10 GB of memory   (2)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
profile=${PROFILE:-cpu}
bash scripts/setup.sh "$profile"
venv=.venv
[[ $profile == gpu ]] && venv=.venv-gpu
# shellcheck disable=SC1091
source "$venv/bin/activate"
unset PYTHONDONTWRITEBYTECODE # or each of the many programs that tests start would compile our modules again
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 TOKENIZERS_PARALLELISM=false
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in scripts/machine.sh

say() { printf '\n\033[1m[test %4ds]\033[0m %s\n' "$SECONDS" "$*"; }

# pytest would compile all modules of packages that bring a plugin (hydra, anyio) in each process, and keep them for itself.
plugins=(--disable-plugin-autoload -p xdist -p timeout -p hypothesispytest)
workers=${WORKERS:-$(($(nproc) < 8 ? $(nproc) + 1 : 8))}
unit_tests() { # WORKERS ARGUMENTS: one thread a process, or the processes would wait for each other
    OMP_NUM_THREADS=1 pytest -q "${plugins[@]}" -m "not slow and not soak" -n "$1" --dist worksteal --durations=15 "${@:2}"
}

case ${1:-} in
    '' | fast) ;;
    soak) exec pytest -q -m soak --timeout 3600 --durations=15 ;;
    *) exec pytest "$@" ;;
esac

if [[ $profile == gpu ]]; then
    [[ ${1:-} == fast ]] || { echo "test: PROFILE=gpu has 'fast' only: bash scripts/check_gpu.sh trains" >&2; exit 2; }
    say "unit tests of the plugin, the models and the trainers"
    unit_tests "$workers" tests/verl_plugin tests/models tests/training tests/serving/test_vllm_process.py
    exit 0
fi

say "lint"
ruff check .
ruff format --check .
shellcheck scripts/*.sh .ci/run
beside=$(mktemp -d)
trap 'rm -rf "$beside"' EXIT
nice mypy >"$beside/types" 2>&1 &
checker=$!
say "unit tests; beside them those of models, and types"
# Every process imports all that its tests do: torch, transformers and verl, which take ten seconds, are for one in three.
models=(tests/{doctor,models,retrieval/late,serving,training,verl_plugin} tests/policies/test_drivers.py
    tests/retrieval/test_{dense,dense_foreign,dense_model,dense_vectors,combine_fuse,combine_rerank}.py
    tests/reward/test_reward_{answers,group}.py tests/test_{example_grpo,questions}.py)
unit_tests $(((workers + 1) / 3)) "${models[@]}" drag_rl reward data_preprocess >"$beside/models" 2>&1 &
of_models=$!
failed=
unit_tests $((workers - (workers + 1) / 3)) tests "${models[@]/#/--ignore=}" || failed=yes
say "unit tests of models"
wait "$of_models" || failed=yes
cat "$beside/models"
say "types"
wait "$checker" || failed=yes
cat "$beside/types"
[[ -z $failed ]] || exit 1
if [[ ${1:-} != fast ]]; then
    say "end-to-end tests: real corpora, models and training" # conftest.py says which of them share a lane
    pytest -q "${plugins[@]}" -m "slow and not soak" -n "${LANES:-2}" --dist loadgroup --no-loadscope-reorder \
        --durations=40 tests
    say "examples for other frameworks, in an environment of their own"
    others=.venv-frameworks
    [[ -x $others/bin/python ]] || python -m venv --without-pip "$others"
    uv pip install --quiet --python "$others/bin/python" --constraint constraints/cpu.txt \
        --override constraints/cpu-overrides.txt --editable '.[frameworks]'
    "$others/bin/python" -m pytest -q tests/frameworks
fi
say "all is well"
