"""SmolLM2 says in its new body exactly what it said in the old one."""

from __future__ import annotations

import copy

import pytest
import torch
from gguf import GGUFReader
from transformers import AutoModelForImageTextToText, AutoProcessor, GenerationConfig

from drag_rl.models.smol import RESERVED_TOKENS, load_llama, smol_model, smol_tokenizer
from drag_rl.models.smol_gguf import cached_gguf, default_cache

pytestmark = pytest.mark.slow

TEXTS = (
    "The capital of France is",
    "def area(r):\n    return 3.14159 * r ** 2   # 12 345\n",
    "<|im_start|>user\nHow do I install a package?<|im_end|>\n<|im_start|>assistant\n",
    "Grüße aus 東京, naïve café. " * 40,
)


@pytest.fixture(scope="module")
def gguf():
    return cached_gguf(default_cache())


@pytest.fixture(scope="module")
def llama(gguf):
    return load_llama(gguf)


@torch.no_grad()
def test_logits_on_text_are_those_of_the_original(gguf, llama):
    tokenizer = smol_tokenizer(gguf)
    model = smol_model(llama, tokenizer, seed=0)
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        assert torch.equal(model(ids).logits, llama(ids).logits), text


@torch.no_grad()
def test_the_stored_model_is_the_original_rounded_to_bfloat16(smol_dir, llama):
    tokenizer = AutoProcessor.from_pretrained(smol_dir).tokenizer
    model = AutoModelForImageTextToText.from_pretrained(smol_dir)
    assert model.dtype == torch.bfloat16
    rounded = copy.deepcopy(llama)
    for weight in rounded.parameters():
        weight.copy_(weight.bfloat16())
    model = model.float()
    for text in TEXTS:
        ids = tokenizer(text, return_tensors="pt").input_ids
        assert torch.equal(model(ids).logits, rounded(ids).logits), text


def test_it_loads_with_the_auto_classes(smol_dir):
    processor = AutoProcessor.from_pretrained(smol_dir)
    tokenizer = processor.tokenizer
    config = AutoModelForImageTextToText.from_pretrained(smol_dir).config
    generation = GenerationConfig.from_pretrained(smol_dir)
    assert type(processor).__name__ == "Qwen2VLProcessor"
    assert config.model_type == "qwen2_vl"
    assert config.text_config.vocab_size == len(tokenizer) == 49_152
    assert config.image_token_id == processor.image_token_id
    assert (generation.eos_token_id, generation.pad_token_id) == (2, 0)
    assert (tokenizer.eos_token_id, tokenizer.pad_token_id) == (2, 0)


def test_the_vocabulary_is_the_original_but_for_the_vision_tokens(gguf, smol_dir):
    tokenizer = AutoProcessor.from_pretrained(smol_dir).tokenizer
    original = GGUFReader(gguf).fields["tokenizer.ggml.tokens"].contents()
    changed = {
        old: new
        for old, new in zip(original, tokenizer.convert_ids_to_tokens(range(49_152)), strict=True)
        if old != new
    }
    assert tuple(changed) == RESERVED_TOKENS
    for text in (*TEXTS, "The <filename> and <issue_start> tags of 2024"):
        ids = tokenizer(text).input_ids
        assert tokenizer.decode(ids) == text
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("page 12   345").input_ids)
    assert pieces == ["page", "Ġ", "1", "2", "ĠĠĠ", "3", "4", "5"]


def test_it_still_answers(smol_dir):
    processor = AutoProcessor.from_pretrained(smol_dir)
    model = AutoModelForImageTextToText.from_pretrained(smol_dir)
    prompt = processor.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        tokenize=False,
        add_generation_prompt=True,
    )
    inputs = processor(text=[prompt], return_tensors="pt")
    reply = model.generate(**inputs, max_new_tokens=12, do_sample=False)[0, inputs.input_ids.shape[1] :]
    assert "Paris" in processor.decode(reply)
