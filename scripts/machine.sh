#!/usr/bin/env bash
# Sourced by the scripts that start programs: --help, the project's Python, what hardware there is, and the environment
# of a CPU run. Sets root, python and HARDWARE (unless given); exports what HARDWARE=cpu needs.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [[ ${1:-} == -h || ${1:-} == --help ]]; then # of the script that sources this: its header
    sed -n '2,/^set -/{/^set -/d;s/^# \{0,1\}//;p}' "$0"
    exit 0
fi
if [[ -z ${HARDWARE:-} ]]; then
    HARDWARE=cpu
    if command -v nvidia-smi >/dev/null && nvidia-smi >/dev/null 2>&1; then
        gpus=$(nvidia-smi --list-gpus | wc -l)
        HARDWARE=$([[ $gpus -ge 8 ]] && echo gpu_8 || echo gpu_1)
    fi
fi
# Each profile of scripts/setup.sh has an environment of its own.
python=$root/.venv-gpu/bin/python
[[ $HARDWARE == cpu ]] && python=$root/.venv/bin/python
[[ -x $python ]] || python=$(command -v python3)
export HARDWARE
export RAY_USAGE_STATS_ENABLED=${RAY_USAGE_STATS_ENABLED:-0} TQ_LOGGING_LEVEL=${TQ_LOGGING_LEVEL:-ERROR}
[[ -d ${MODEL:-} ]] && export HF_HUB_OFFLINE=1
if [[ $HARDWARE == cpu ]]; then
    export VERL_PLATFORM=cpu VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-1} VLLM_CPU_OMP_THREADS_BIND=nobind
    # Ray and torchrun would give each worker one thread; trainer and engine take turns, ranks share the cores.
    export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)}
    # Idle threads sleep instead of spinning: processes that share the cores (trainer and engine, or two runs) would
    # otherwise take several times as long (docs/experiments.md).
    export GOMP_SPINCOUNT=${GOMP_SPINCOUNT:-1000}
    # Freed tensors stay in the process: giving each back to the kernel costs a quarter of a training's time.
    export MALLOC_MMAP_MAX_=${MALLOC_MMAP_MAX_:-0} MALLOC_TRIM_THRESHOLD_=${MALLOC_TRIM_THRESHOLD_:-100000000000}
    # Ray would start a spare Python process for each logical CPU.
    export RAY_prestart_worker_first_driver=0 RAY_enable_worker_prestart=0
    export DRAG_WEIGHT_SYNC_TIMEOUT_S=${DRAG_WEIGHT_SYNC_TIMEOUT_S:-180}
fi
