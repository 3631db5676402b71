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
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 TOKENIZERS_PARALLELISM=false
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in scripts/machine.sh

say() { printf '\n\033[1m[test %4ds]\033[0m %s\n' "$SECONDS" "$*"; }

workers=${WORKERS:-$(($(nproc) < 8 ? $(nproc) + 1 : 8))}
unit_tests() { # one thread a process, or the processes would wait for each other
    OMP_NUM_THREADS=1 pytest -q -m "not slow and not soak" -n "$workers" --dist worksteal --durations=15 "$@"
}

case ${1:-} in
    '' | fast) ;;
    soak) exec pytest -q -m soak --timeout 3600 --durations=15 ;;
    *) exec pytest "$@" ;;
esac

if [[ $profile == gpu ]]; then
    [[ ${1:-} == fast ]] || { echo "test: PROFILE=gpu has 'fast' only: bash scripts/check_gpu.sh trains" >&2; exit 2; }
    say "unit tests of the plugin, the models and the trainers"
    unit_tests tests/verl_plugin tests/models tests/training tests/serving/test_vllm_process.py
    exit 0
fi

say "lint; types are checked beside the unit tests"
ruff check .
ruff format --check .
shellcheck scripts/*.sh .ci/run
types=$(mktemp)
trap 'rm -f "$types"' EXIT
nice mypy >"$types" 2>&1 &
checker=$!
say "unit tests"
unit_tests tests drag_rl reward data_preprocess
say "types"
wait "$checker" || { cat "$types"; exit 1; }
cat "$types"
if [[ ${1:-} != fast ]]; then
    say "end-to-end tests: real corpora, models and training" # conftest.py says which of them share a lane
    pytest -q -m "slow and not soak" -n "${LANES:-2}" --dist loadgroup --no-loadscope-reorder --durations=15
    say "examples for other frameworks, in an environment of their own"
    others=.venv-frameworks
    [[ -x $others/bin/python ]] || python -m venv --without-pip "$others"
    uv pip install --quiet --python "$others/bin/python" --constraint constraints/cpu.txt \
        --override constraints/cpu-overrides.txt --editable '.[frameworks]'
    "$others/bin/python" -m pytest -q tests/frameworks
fi
say "all is well"
