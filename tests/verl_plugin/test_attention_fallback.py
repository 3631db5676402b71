"""Without flash-attn: PyTorch's attention keeps packed sequences apart where verl leaves attention to transformers."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import torch
import transformers.integrations.flash_attention
from transformers import AutoModelForImageTextToText
from transformers.models.qwen3_vl import modeling_qwen3_vl

from drag_rl.training.launch.attention import PACKED_BY_SDPA

pytestmark = pytest.mark.skipif(find_spec("flash_attn") is not None, reason="flash-attn is installed")
LENGTHS = (5, 9, 2)


@pytest.fixture(scope="module")
def verl_patch():
    """verl's patches of models; it imports much."""
    import trl.experimental.ppo  # noqa: F401 (what the patch imports when it is called)
    from verl.models.transformers.monkey_patch import apply_monkey_patch

    return apply_monkey_patch


@pytest.fixture
def as_verl_does(monkeypatch, verl_patch):
    """Patch a model's classes as verl's engine does for packed sequences; undone at the end of the test."""

    def patch(model):
        for part in vars(modeling_qwen3_vl).values():
            if isinstance(part, type) and "forward" in vars(part):
                monkeypatch.setattr(part, "forward", part.forward)
        attention = transformers.integrations.flash_attention
        monkeypatch.setattr(attention, "_flash_attention_forward", attention._flash_attention_forward)
        verl_patch(model, use_remove_padding=True, ulysses_sp_size=1)
        return model.eval()

    return patch


def packed_and_padded(model, tokens):
    """Outputs at each token, with what verl's engine gives a model: one row without padding, or one for each."""
    rows = [torch.randint(5, tokens, (length,), generator=torch.manual_seed(1)) for length in LENGTHS]
    places = [torch.arange(len(row)).expand(4, 1, -1) for row in rows]
    with torch.no_grad():
        packed = model(
            input_ids=torch.cat(rows)[None],
            attention_mask=None,
            position_ids=torch.cat(places, dim=-1),
            use_cache=False,
        ).logits[0]
        mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
        padded = model(
            input_ids=torch.nn.utils.rnn.pad_sequence(rows, batch_first=True),
            attention_mask=mask,
            position_ids=torch.nn.utils.rnn.pad_sequence(
                [place[:, 0].T for place in places], batch_first=True
            ).permute(2, 0, 1),
            use_cache=False,
        ).logits[mask]
    return packed, padded


def test_the_policy_packed_is_the_policy_padded(as_verl_does, tiny):
    model = AutoModelForImageTextToText.from_pretrained(tiny, attn_implementation="sdpa", dtype=torch.float32)
    assert model.config.model_type in PACKED_BY_SDPA
    packed, padded = packed_and_padded(as_verl_does(model), 500)
    torch.testing.assert_close(packed, padded, rtol=1e-4, atol=1e-5)
    # Sequences that saw each other would differ: the second one does if it goes on where the first has ended.
    assert not torch.allclose(packed[LENGTHS[0] :][:9], padded[:9], atol=1e-3)


def test_the_critic_packed_is_the_critic_padded(as_verl_does, tiny):
    from drag_rl.verl_plugin.value_model import Qwen3VLForTokenClassification

    model = Qwen3VLForTokenClassification.from_pretrained(
        tiny, num_labels=1, attn_implementation="flash_attention_2", dtype=torch.float32
    )
    assert model.config._attn_implementation == "sdpa", "as verl asks for it, and as it is here"
    packed, padded = packed_and_padded(as_verl_does(model), 500)
    torch.testing.assert_close(packed, padded, rtol=1e-4, atol=1e-5)


def test_verl_cannot_pack_qwen2_vl_without_flash_attention():
    """Its attention calls flash-attn by name. Once it does not, ``PACKED_BY_SDPA`` may have this model type too."""
    from verl.models.transformers.qwen2_vl import _custom_flash_attention_forward

    assert not PACKED_BY_SDPA & {"qwen2_vl", "qwen2_5_vl"}
    states = torch.zeros(1, 4, 1, 8)
    two_sequences = torch.tensor([[0, 1, 0, 1]])
    with pytest.raises(NameError, match="flash"):
        _custom_flash_attention_forward(states, states, states, None, 4, position_ids=two_sequences)
