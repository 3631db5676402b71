"""Pairs whose prompts show page images: each where the episode showed it, opened when its batch is made, and seen."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor, AutoTokenizer

from drag_rl.errors import InputError
from drag_rl.training.dpo import last_checkpoint
from drag_rl.training.dpo_pairs import PageImageCollator, read_pairs, shows_images, without_images


@pytest.fixture(scope="module")
def processor(world):
    return AutoProcessor.from_pretrained(world / "model")


@pytest.fixture(scope="module")
def pairs_file(shown):
    return shown / "dpo_train.parquet"


def test_images_stand_in_the_turns_that_showed_them(pairs_file, processor):
    rows = pq.read_table(pairs_file).to_pylist()
    pairs = read_pairs(pairs_file, processor, 4096)
    assert shows_images(pairs)
    seen = [(row, pair) for row, pair in zip(rows, pairs, strict=True) if pair["images"]]
    assert len(seen) == 4  # pairs of second searches; the others have the question alone for a prompt
    for row, pair in seen:
        assert pair["images"] == [image["image"] for image in row["images"]]
        assert all(Path(path).is_file() for path in pair["images"])
        *_, first, observation, last = pair["prompt"].split("<|im_start|>")
        assert first == "assistant\n<search>steam drum</search><|im_end|>\n" and last == "assistant\n"
        assert (
            observation.count("<|image_pad|>") == pair["prompt"].count("<|image_pad|>") == len(pair["images"])
        )
        assert pair["chosen"] == row["chosen"][0]["content"] + "<|im_end|>"


def test_a_batch_holds_what_the_processor_makes_of_each_side(pairs_file, processor):
    """Prompts with and without images in one batch; neither tokens nor pixels are lost or moved."""
    pairs = read_pairs(pairs_file, processor, 4096)
    mixed = [next(p for p in pairs if p["images"]), next(p for p in pairs if not p["images"])]
    for order in (mixed, mixed[::-1]):
        batch = PageImageCollator(processor)(order)
        pixels = []
        for number, (pair, side) in enumerate((p, s) for s in ("chosen", "rejected") for p in order):
            images = [Image.open(path).convert("RGB") for path in pair["images"]] or None
            alone = processor(text=[pair["prompt"] + pair[side]], images=images, return_tensors="pt")
            kept = batch["attention_mask"][number].bool()
            assert batch["input_ids"][number][kept].tolist() == alone["input_ids"][0].tolist()
            answer = processor.tokenizer(pair[side], add_special_tokens=False)["input_ids"]
            assert batch["input_ids"][number][batch["completion_mask"][number].bool()].tolist() == answer
            pixels += [alone["pixel_values"]] if images else []
        assert batch["pixel_values"].equal(torch.cat(pixels))


def test_the_length_counts_the_tokens_of_images(pairs_file, processor):
    batch = PageImageCollator(processor)(read_pairs(pairs_file, processor, 4096))
    exact = int(batch["attention_mask"].sum(1).max())
    assert read_pairs(pairs_file, processor, exact)
    with pytest.raises(InputError, match=f"has {exact} tokens, max_length allows {exact - 1}"):
        read_pairs(pairs_file, processor, exact - 1)


def test_the_model_sees_the_image(world, pairs_file, processor, tmp_path):
    """Another picture gives the same tokens other probabilities."""
    model = AutoModelForImageTextToText.from_pretrained(world / "model", dtype=torch.float32).eval()
    pair = next(p for p in read_pairs(pairs_file, processor, 4096) if p["images"])
    size = Image.open(pair["images"][0]).size
    logits = []
    for colour in ("red", "blue"):
        Image.new("RGB", size, colour).save(tmp_path / f"{colour}.png")
        batch = PageImageCollator(processor)(
            [{**pair, "images": [str(tmp_path / f"{colour}.png")] * len(pair["images"])}]
        )
        answers = batch.pop("completion_mask").bool()
        with torch.no_grad():
            logits.append(model(**batch).logits[answers])
    assert (logits[0] - logits[1]).abs().max() > 1e-3


def test_bad_images_are_one_line(world, pairs_file, processor, tmp_path):
    with pytest.raises(InputError, match=r"row \d: shows images, which this model does not take"):
        read_pairs(pairs_file, AutoTokenizer.from_pretrained(world / "model"), 4096)
    (tmp_path / "a.png").write_text("no picture")
    rows = pq.read_table(pairs_file).to_pylist()
    broken = {**rows[0], "images": [{"image": str(tmp_path / "a.png")}]}
    pq.write_table(pa.Table.from_pylist([broken]), tmp_path / "dpo_train.parquet")
    with pytest.raises(InputError, match=r"row 0: image .*a\.png cannot be read"):
        read_pairs(tmp_path / "dpo_train.parquet", processor, 4096)


def test_text_pairs_have_no_images(world, processor):
    pairs = read_pairs(world / "dpo_train.parquet", processor, 4096)
    assert not shows_images(pairs)
    assert set(without_images(pairs[0])) == {"prompt", "chosen", "rejected"}


def test_a_torn_checkpoint_is_passed_over(tmp_path):
    """The trainer writes its state last: a folder without it, or with half of it, is what a kill has left."""
    assert last_checkpoint(tmp_path / "none") is None
    for step, state in ((9, '{"global_step": 9}'), (10, '{"global_step": 10}'), (11, '{"glob'), (12, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint-9", "checkpoint-10"}
