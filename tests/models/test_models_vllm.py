"""vLLM runs the embedded model, and gives every token it samples the log-probability that transformers gives it.

That it does so for the tiny one, over HTTP and with an adapter, shows trajectories/test_vllm_server.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

pytestmark = pytest.mark.slow

TIMEOUT_S = 500


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "page.png"
    Image.linear_gradient("L").resize((300, 400)).convert("RGB").save(path)
    return path


def samples(model_dir, image, out):
    """What vLLM samples, in a process of its own: for text, for an image, for the image through its chat."""
    script = Path(__file__).with_name("vllm_samples.py")
    environment = os.environ | {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1"}
    subprocess.run(
        [sys.executable, script, model_dir, image, out], env=environment, check=True, timeout=TIMEOUT_S
    )
    return json.loads(out.read_text(encoding="utf-8"))


@pytest.mark.timeout(2 * TIMEOUT_S)
@torch.no_grad()
def test_log_probabilities_agree_with_transformers(smol_dir, image, tmp_path):
    rows = samples(smol_dir, image, tmp_path / "samples.json")
    processor = AutoProcessor.from_pretrained(smol_dir)
    model = AutoModelForImageTextToText.from_pretrained(smol_dir, dtype=torch.float32)
    question = {"type": "text", "text": "What is it?"}
    for row, parts in zip(
        rows, ([question], [{"type": "image"}, question], [{"type": "image"}, question]), strict=True
    ):
        prompt = processor.apply_chat_template(
            [{"role": "user", "content": parts}], tokenize=False, add_generation_prompt=True
        )
        images = [Image.open(image)] if len(parts) > 1 else None
        inputs = processor(text=[prompt], images=images, return_tensors="pt")
        assert row["prompt_token_ids"] == inputs.input_ids[0].tolist()
        sampled = torch.tensor([row["token_ids"]])
        inputs["input_ids"] = torch.cat([inputs.input_ids, sampled], dim=1)
        inputs["attention_mask"] = torch.ones_like(inputs.input_ids)
        inputs["mm_token_type_ids"] = (inputs.input_ids == processor.image_token_id).long()
        logits = model(**inputs).logits[:, -sampled.shape[1] - 1 : -1]
        expected = logits.log_softmax(-1).gather(-1, sampled[..., None]).flatten()
        assert (expected - torch.tensor(row["logprobs"])).abs().max() < 1e-3
