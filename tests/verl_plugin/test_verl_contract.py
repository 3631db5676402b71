"""What we rely on in verl, pinned: a new release fails here first, and says where."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path

import pytest

from drag_rl.versions import VERL_VERSION

ROOT = Path(__file__).resolve().parents[2]


def parameters(function):
    return list(inspect.signature(function).parameters)


def test_version():
    assert version("verl") == VERL_VERSION


def test_what_is_installed_is_the_version_that_the_code_is_written_for():
    pins = [ROOT / "pyproject.toml", *(ROOT / "constraints").glob("[cg]pu.txt")]
    pinned = [
        found for path in pins for found in re.findall(r"\bverl(?:\[[\w,-]+\])?==([\w.]+)", path.read_text())
    ]
    assert len(pinned) >= 4 and set(pinned) == {VERL_VERSION}


def test_the_plugin_is_an_entry_point_and_loads():
    (ours,) = [point for point in entry_points(group="verl.plugins") if point.name == "drag"]
    assert ours.value == "drag_rl.verl_plugin"


def modules_after(script: str, **env: str) -> set[str]:
    """The modules that a fresh process has loaded after ``script``."""
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\n{script}\nprint(*sys.modules, file=sys.stdout)"],
        env={**os.environ, **env},
        check=True,
        capture_output=True,
        text=True,
    )
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.slow  # three interpreters import verl
def test_import_verl_loads_the_plugin_and_the_plugin_loads_little():
    """verl logs a plugin that fails at debug level only, so this is the test that it does not."""
    without = modules_after("import verl", VERL_USE_EXTERNAL_PLUGINS="none")
    added = modules_after("import verl", VERL_PLATFORM="") - without
    assert {"drag_rl.verl_plugin", "drag_rl.verl_plugin.patches"} <= added
    assert {name.partition(".")[0] for name in added} <= {"drag_rl", "wrapt"}
    assert "drag_rl.cpu.platform" not in added, "the CPU platform acts only when it is chosen"
    assert "drag_rl.cpu.platform" in modules_after("import verl", VERL_PLATFORM="cpu")


def test_our_agent_loop_is_registered_where_verl_looks_for_it():
    from verl.experimental.agent_loop.agent_loop import _agent_loop_registry

    import drag_rl.verl_plugin  # noqa: F401 (what verl's import does, too)

    assert _agent_loop_registry["drag_search"] == {
        "_target_": "drag_rl.verl_plugin.agent_loop.DragSearchLoop"
    }


def test_value_model_seam():
    """verl looks the function up when it builds a critic."""
    from verl.utils import model
    from verl.workers.engine.fsdp import transformer_impl

    names = ["local_path", "torch_dtype", "model_config", "trust_remote_code"]
    assert parameters(model.load_valuehead_model) == names
    assert "from verl.utils.model import load_valuehead_model" in inspect.getsource(transformer_impl)


def test_agent_loop_seam():
    from verl.experimental.agent_loop import agent_loop

    assert {
        "trainer_config",
        "server_manager",
        "tokenizer",
        "processor",
        "dataset_cls",
        "data_config",
    } <= set(parameters(agent_loop.AgentLoopBase.__init__))
    assert parameters(agent_loop.AgentLoopBase.run) == ["self", "sampling_params", "kwargs"]
    assert {
        "prompt_ids",
        "response_ids",
        "response_mask",
        "response_logprobs",
        "multi_modal_data",
        "num_turns",
        "metrics",
        "extra_fields",
    } <= set(agent_loop.AgentLoopOutput.model_fields)
    assert {"generate_sequences", "tool_calls", "num_preempted"} <= set(
        agent_loop.AgentLoopMetrics.model_fields
    )
    assert parameters(agent_loop.AgentLoopBase._assert_mm_supported) == ["self", "has_multi_modal"]


def test_generation_seam():
    from verl.workers.rollout.llm_server import LLMServerClient
    from verl.workers.rollout.replica import RolloutReplicaRegistry, TokenOutput

    assert {"request_id", "prompt_ids", "sampling_params", "image_data"} <= set(
        parameters(LLMServerClient.generate)
    )
    assert {"token_ids", "log_probs", "num_preempted", "extra_fields"} <= set(TokenOutput.model_fields)
    assert parameters(RolloutReplicaRegistry.register)[:2] == ["name", "loader"]


def test_continuous_tokens_seam():
    from verl.utils.tokenizer.continuous_token import ContinuousTokenBuilder, MergeResult

    assert {"messages", "tools", "images"} <= set(parameters(ContinuousTokenBuilder.build_initial_tokens))
    assert parameters(ContinuousTokenBuilder.merge_context_tokens) == [
        "self",
        "previous_messages",
        "updated_messages",
        "runtime_token_ids",
        "tools",
    ]
    assert "token_ids" in MergeResult.__dataclass_fields__


def test_reward_seam():
    from verl.experimental.reward_loop.reward_manager.base import RewardManagerBase

    assert parameters(RewardManagerBase.__init__)[:4] == ["self", "config", "tokenizer", "compute_score"]
    assert parameters(RewardManagerBase.run_single) == ["self", "data"]


def test_replay_buffer_seam():
    from verl.trainer.ppo.v1.replay_buffer import ReplayBuffer

    assert {
        "trainer_mode",
        "trainer_config",
        "max_off_policy_threshold",
        "max_off_policy_strategy",
        "sampler_kwargs",
        "poll_interval",
        "refill_fn",
        "filter_groups_metric",
        "train_batch_size",
        "gen_batch_size",
        "max_inflight_gen_batches",
    } <= set(parameters(ReplayBuffer.__init__))
    assert parameters(ReplayBuffer.sample) == ["self", "global_steps", "partition_id", "batch_size"]
    assert parameters(ReplayBuffer._sync_metadata_from_transfer_queue) == ["self"]


def test_platform_seam():
    from verl.plugin.platform.platform_base import PlatformBase
    from verl.plugin.platform.platform_manager import PlatformRegistry

    from drag_rl.cpu.platform import CPUPlatform

    assert parameters(PlatformRegistry.register) == ["platform"]
    assert not CPUPlatform.__abstractmethods__
    for name in PlatformBase.__abstractmethods__:
        assert hasattr(CPUPlatform, name)


@pytest.mark.slow  # imports vLLM
def test_vllm_knows_its_cpu_build_where_verl_is_imported_first():
    """Else it loads kernels that end the process on a CPU without AVX-512."""
    script = "import verl\nfrom vllm.platforms import current_platform\nassert current_platform.is_cpu()"
    assert "vllm.platforms.cpu" in modules_after(script, VERL_PLATFORM="cpu")


@pytest.mark.slow  # imports vLLM
def test_vllm_seam():
    import vllm.model_executor.layers.utils as layers
    from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension
    from verl.workers.rollout.vllm_rollout.vllm_async_server import vLLMHttpServer

    assert parameters(layers.dispatch_cpu_unquantized_gemm) == ["layer", "remove_weight"]
    assert parameters(vLLMColocateWorkerExtension._update_weights)[:2] == ["self", "weights"]
    assert "process_weights_after_loading" in inspect.getsource(
        vLLMColocateWorkerExtension.update_weights_from_ipc
    )
    assert parameters(vLLMHttpServer._get_worker_extension_cls) == ["self"]
