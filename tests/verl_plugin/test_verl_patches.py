"""Each patch: the fault stands in unpatched verl (when this fails, the patch can go), and the patch mends it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

LONELY_SENDER = """
import asyncio, faulthandler, sys, tempfile
import torch
import verl
from drag_rl import verl_plugin
verl_plugin.activate()
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightSender

if "stock" in sys.argv:
    for name in ("_init_socket", "async_send_weights"):
        setattr(BucketedWeightSender, name, getattr(BucketedWeightSender, name).__wrapped__)
handle = f"ipc://{tempfile.mkdtemp()}/weights.sock"
sender = BucketedWeightSender(handle, bucket_size_mb=1, use_shm=True)
if "stock" in sys.argv:
    faulthandler.dump_traceback_later(5, exit=True)
asyncio.run(sender.async_send_weights([("weight", torch.ones(4))]))
"""
"""A trainer that sends weights to an engine that never answers, for at most 1 s; after 5 s stock verl says where it is.
"""


def send(*arguments: str) -> str:
    """What it says when it has failed."""
    result = subprocess.run(
        [sys.executable, "-c", LONELY_SENDER, *arguments],
        env={**os.environ, "VERL_PLATFORM": "cpu", "DRAG_WEIGHT_SYNC_TIMEOUT_S": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode != 0
    return result.stderr


@pytest.fixture(autouse=True, scope="module")
def _run_of_ours():
    from drag_rl import verl_plugin

    verl_plugin.activate()


@pytest.mark.slow
def test_a_weight_sync_without_an_answer_is_still_waited_for_in_stock_verl():
    said = send("stock")
    assert "Timeout (0:00:05)!" in said
    assert re.search(r"most recent call first\):\n.*/zmq/.* in (send|recv)\n", said), said
    assert "in async_send_weights" in said


@pytest.mark.slow
def test_a_weight_sync_without_an_answer_ends_with_the_patch():
    said = send()
    assert "weight sync: the vLLM worker did not take the new weights in 1 s" in said, said


@pytest.fixture(scope="module")
def qwen2_vl():
    """A tiny random Qwen2-VL; verl's code for it is imported."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    rope = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}
    size = {"num_attention_heads": 2, "num_key_value_heads": 2, "num_hidden_layers": 1, "vocab_size": 32}
    text = {"hidden_size": 16, "intermediate_size": 16, **size, "rope_parameters": rope}
    vision = {"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "mlp_ratio": 1, "patch_size": 4}
    torch.manual_seed(0)
    return Qwen2VLForConditionalGeneration(Qwen2VLConfig(text_config=text, vision_config=vision))


def test_a_batch_without_images_stops_qwen2_vl_in_stock_verl(qwen2_vl):
    import torch
    from verl.models.transformers.qwen2_vl import _get_input_embeds

    with pytest.raises(AttributeError, match="mean"):
        _get_input_embeds.__wrapped__(qwen2_vl.model, torch.tensor([[1, 2, 3]]))


def test_a_batch_without_images_has_its_token_embeddings_with_the_patch(qwen2_vl):
    import torch
    from verl.models.transformers.qwen2_vl import _get_input_embeds

    tokens = torch.tensor([[1, 2, 3]])
    embeds, _ = _get_input_embeds(qwen2_vl.model, tokens)
    torch.testing.assert_close(embeds, qwen2_vl.get_input_embeddings()(tokens))
    # The vision tower takes part, so that every rank has the same gradients to exchange.
    embeds.sum().backward()
    assert all(p.grad is not None for p in qwen2_vl.model.visual.parameters())


def positions(*lengths):
    """M-RoPE position ids ``[4, L]`` of some rows, as the queue hands them to a trainer."""
    import torch
    from tensordict import TensorDict

    rows = [torch.arange(4 * length).view(4, length) for length in lengths]
    nested = torch.nested.as_nested_tensor(rows, layout=torch.jagged)
    return rows, TensorDict({"position_ids": nested}, batch_size=len(rows))


@pytest.mark.parametrize("lengths", [(5, 5), (5,), (7, 7, 7)])
def test_rows_of_one_length_cannot_be_split_in_stock_verl(lengths):
    from verl.utils.tensordict_utils import maybe_fix_3d_position_ids

    _, data = positions(*lengths)
    maybe_fix_3d_position_ids.__wrapped__(data)
    with pytest.raises(RuntimeError):
        data["position_ids"].unbind()


@pytest.mark.parametrize("lengths", [(5, 7), (5, 5), (5,), (4, 4), (1, 1), (8, 8), (12, 4, 8)])
def test_rows_of_any_length_are_split_with_the_patch(lengths):
    import torch
    from verl.utils.tensordict_utils import maybe_fix_3d_position_ids

    rows, data = positions(*lengths)
    for _ in range(2):  # verl calls it before every step
        maybe_fix_3d_position_ids(data)
        for row, wanted in zip(data["position_ids"].unbind(), rows, strict=True):
            torch.testing.assert_close(row, wanted)
    size = (len(rows), 4, max(lengths))
    padded = torch.nested.to_padded_tensor(data["position_ids"], padding=0, output_size=size)
    for row, wanted in zip(padded, rows, strict=True):
        torch.testing.assert_close(row[:, : wanted.shape[1]], wanted)


def resumed(folder, step, stock):
    """The batches that are left of an epoch of three when SFT resumes at a step."""
    import torch
    from torchdata.stateful_dataloader import StatefulDataLoader
    from verl.utils.checkpoint.checkpoint_handler import CheckpointHandler

    loader = StatefulDataLoader(range(3), batch_size=None)
    for number, _ in enumerate(loader, start=1):
        if number == (step - 1) % 3 + 1:
            state = loader.state_dict()
    checkpoint = folder / f"global_step_{step}"
    checkpoint.mkdir()
    torch.save(state, checkpoint / "data_0.pt")
    handler = CheckpointHandler.__new__(CheckpointHandler)
    handler.train_dataloader, handler.dp_rank, handler.rank = (
        StatefulDataLoader(range(3), batch_size=None),
        0,
        0,
    )
    load = CheckpointHandler._load_dataloader_state
    (load.__wrapped__ if stock else load)(handler, str(checkpoint))
    return list(handler.train_dataloader)


def test_sft_resumed_at_the_end_of_an_epoch_has_no_next_one_in_stock_verl(tmp_path):
    assert resumed(tmp_path, 6, stock=True) == []


@pytest.mark.parametrize(("step", "left"), [(1, [1, 2]), (5, [2]), (3, [0, 1, 2]), (6, [0, 1, 2])])
def test_sft_resumed_at_any_step_goes_on_with_the_next_batch_with_the_patch(tmp_path, step, left):
    assert resumed(tmp_path, step, stock=False) == left


def critic(tiny, load):
    """What verl's critic loads of a tiny Qwen3-VL."""
    import torch
    from transformers import AutoConfig

    return load(str(tiny), torch.float32, AutoConfig.from_pretrained(tiny, num_labels=1), False)


@pytest.mark.skipif(find_spec("flash_attn") is not None, reason="verl then goes on to another class")
def test_a_critic_of_qwen3_vl_cannot_be_loaded_in_stock_verl(tiny, monkeypatch):
    from transformers import AutoModelForTokenClassification
    from verl.utils.model import load_valuehead_model

    monkeypatch.setattr(AutoModelForTokenClassification._model_mapping, "_extra_content", {})
    with pytest.raises(ImportError, match="FlashAttention2"):
        critic(tiny, load_valuehead_model.__wrapped__)


def test_a_critic_of_qwen3_vl_has_a_value_for_each_token_with_the_patch(tiny):
    import torch
    from verl.utils.model import load_valuehead_model

    model = critic(tiny, load_valuehead_model)
    assert type(model).__name__ == "Qwen3VLForTokenClassification"
    assert model(input_ids=torch.tensor([[5, 6, 7]])).logits.shape == (1, 3, 1)
