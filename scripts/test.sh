#!/usr/bin/env bash
# Install what is missing, then check everything: lint, types, scripts, unit tests, end-to-end tests.
#
#   bash scripts/test.sh                 everything (what CI runs)
#   bash scripts/test.sh fast            without the slow end-to-end tests
#   bash scripts/test.sh -k images       any pytest arguments: only pytest, with them
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash scripts/setup.sh "${PROFILE:-cpu}"
# shellcheck disable=SC1091
source .venv/bin/activate
export PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1 RAY_USAGE_STATS_ENABLED=0 TOKENIZERS_PARALLELISM=false
export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000} # as in scripts/machine.sh

say() { printf '\n\033[1m[test]\033[0m %s\n' "$*"; }

if [[ $# -gt 0 && $1 != fast ]]; then
    exec pytest "$@"
fi
say "lint and types"
ruff check .
ruff format --check .
mypy
shellcheck scripts/*.sh .ci/run
say "unit tests"
pytest -q -m "not slow"
if [[ ${1:-} != fast ]]; then
    say "end-to-end tests: real corpora, models and training (tens of minutes on 2 cores)"
    pytest -q -m slow --durations=15
fi
