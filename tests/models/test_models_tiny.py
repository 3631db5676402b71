"""The tiny model loads like a real one, depends on its seed alone, and learns through its eyes."""

from __future__ import annotations

import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer, GenerationConfig

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.models.folder import folder_fingerprint
from drag_rl.models.tiny import build_tiny


def page_image(width, height):
    ramp = Image.linear_gradient("L").resize((width, height))
    return Image.merge("RGB", (ramp, ramp.transpose(Image.Transpose.ROTATE_180), ramp))


def test_the_seed_alone_decides_the_weights(tiny_dir, tmp_path):
    torch.manual_seed(123)
    build_tiny(tmp_path / "same")
    build_tiny(tmp_path / "other", seed=1)
    assert folder_fingerprint(tmp_path / "same") == folder_fingerprint(tiny_dir)
    assert folder_fingerprint(tmp_path / "other") != folder_fingerprint(tiny_dir)
    assert read_manifest(tiny_dir).config == {"seed": 0}


def test_it_loads_with_the_auto_classes_and_no_remote_code(tiny_dir):
    processor = AutoProcessor.from_pretrained(tiny_dir)
    model = AutoModelForImageTextToText.from_pretrained(tiny_dir)
    tokenizer = AutoTokenizer.from_pretrained(tiny_dir)
    assert type(processor).__name__ == "Qwen3VLProcessor"
    assert type(processor.video_processor).__name__ == "Qwen3VLVideoProcessor"
    assert type(model).__name__ == "Qwen3VLForConditionalGeneration"
    assert model.config.text_config.vocab_size == len(tokenizer) == len(processor.tokenizer)
    assert 900_000 < sum(parameter.numel() for parameter in model.parameters()) < 1_500_000
    assert processor.chat_template == tokenizer.chat_template
    generation = GenerationConfig.from_pretrained(tiny_dir)
    assert (generation.eos_token_id, generation.pad_token_id) == (
        tokenizer.eos_token_id,
        tokenizer.pad_token_id,
    )
    assert not list(tiny_dir.glob("*.py"))


@pytest.mark.parametrize(
    ("width", "height", "tokens"),
    [(256, 256, 64), (448, 448, 64), (816, 1056, 63), (1224, 1584, 63), (128, 160, 20), (20, 20, 4)],
)
def test_an_image_costs_a_token_for_each_patch_group_and_64_at_most(model_dir, width, height, tokens):
    processor = AutoProcessor.from_pretrained(model_dir)
    inputs = processor(text=["<|image_pad|>"], images=[page_image(width, height)], return_tensors="pt")
    placeholders = (inputs.input_ids == processor.image_token_id).sum().item()
    merge = processor.image_processor.merge_size**2
    assert placeholders == inputs.image_grid_thw.prod().item() // merge
    side = processor.image_processor.patch_size * processor.image_processor.merge_size
    if side == 32:
        assert placeholders == tokens
    assert 4 <= placeholders <= 64


def test_a_page_image_gives_a_finite_loss_and_gradients_everywhere_in_the_vision_tower(model_dir):
    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32)
    conversation = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}]},
        {"role": "assistant", "content": "<answer>A page.</answer>"},
    ]
    text = processor.apply_chat_template(conversation, tokenize=False)
    inputs = processor(text=[text], images=[page_image(200, 260)], return_tensors="pt")
    loss = model(**inputs, labels=inputs.input_ids).loss
    assert torch.isfinite(loss)
    loss.backward()
    tower = dict(model.model.visual.named_parameters())
    without = [name for name, weight in tower.items() if weight.dim() > 1 and not weight.grad.abs().sum() > 0]
    assert without == []
    assert all(torch.isfinite(weight.grad).all() for weight in tower.values())


def test_the_model_sees_the_image(tiny_dir):
    processor = AutoProcessor.from_pretrained(tiny_dir)
    model = AutoModelForImageTextToText.from_pretrained(tiny_dir)
    seen = page_image(128, 128)
    logits = [
        model(**processor(text=["<|image_pad|>?"], images=[image], return_tensors="pt")).logits[0, -1]
        for image in (seen, seen, seen.transpose(Image.Transpose.ROTATE_90))
    ]
    assert torch.equal(logits[0], logits[1])
    assert (logits[0] - logits[2]).abs().max() > 1e-3


def test_building_again_keeps_what_is_whole_and_mends_what_is_not(tmp_path):
    out = tmp_path / "deep" / "tiny"
    assert build_tiny(out)
    fingerprint = folder_fingerprint(out)
    assert not build_tiny(out)
    (out / "chat_template.jinja").write_text("broken", encoding="utf-8")
    assert build_tiny(out)
    assert folder_fingerprint(out) == fingerprint
    assert build_tiny(out, seed=1)
    assert sorted(path.name for path in out.parent.iterdir()) == ["tiny"]


def test_a_folder_of_someone_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(InputError, match=r"has no manifest that says drag_rl\.models\.tiny made it"):
        build_tiny(tmp_path)
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "mine"
