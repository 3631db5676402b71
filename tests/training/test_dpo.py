"""DPO: the adapter prefers what the pairs prefer, of texts and, by the launch script, of page images."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]


def dpo(world, run, *options, **env):
    environment = {
        **os.environ,
        "MODEL": str(world / "model"),
        "TRAIN": str(world / "dpo_train.parquet"),
        "RUN": str(run),
        "HARDWARE": "cpu",
        **env,
    }
    command = ["bash", str(ROOT / "scripts" / "run_dpo.sh"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900, check=False)


def dpo_here(world, run, *options):
    """The same trainer in this process, on pairs of text."""
    from drag_rl.training import dpo as module

    module.main(
        model=str(world / "model"),
        train=world / "dpo_train.parquet",
        run=run,
        config=ROOT / "configs" / "dpo.yaml",
        options=list(options),
    )


def margin(model_dir, adapter, rows):
    """How much likelier the chosen answers are than the rejected ones, by the model's own logits."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32)
    if adapter:
        model = PeftModel.from_pretrained(model, str(adapter))
    total = 0.0
    for row in rows:
        prompt = tokenizer.apply_chat_template(row["prompt"], tokenize=False, add_generation_prompt=True)
        start = len(tokenizer(prompt)["input_ids"])
        for side, sign in (("chosen", 1), ("rejected", -1)):
            inputs = tokenizer(prompt + row[side][0]["content"] + "<|im_end|>", return_tensors="pt")
            with torch.no_grad():
                logits = model(**inputs).logits[0, :-1].log_softmax(-1)
            tokens = inputs["input_ids"][0, 1:, None]
            total += sign * float(logits.gather(-1, tokens)[start - 1 :].sum())
    return total / len(rows)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_adapter_prefers_the_chosen_queries(world, tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "tensorboard"))
    options = ("learning_rate=1e-2", "num_train_epochs=2", "max_length=2048", "gradient_checkpointing=false")
    dpo_here(world, tmp_path / "run", *options)
    rows = pq.read_table(world / "dpo_train.parquet").to_pylist()
    adapter = tmp_path / "run" / "adapter"
    assert margin(world / "model", adapter, rows) > margin(world / "model", None, rows) + 1
    trained = sorted((tmp_path / "run" / "checkpoints").glob("checkpoint-*"))
    written = (adapter / "adapter_model.safetensors").read_bytes()
    dpo_here(world, tmp_path / "run", *options)  # nothing is left to do
    assert sorted((tmp_path / "run" / "checkpoints").glob("checkpoint-*")) == trained
    assert (adapter / "adapter_model.safetensors").read_bytes() == written


def preference(model_dir, adapter, row):
    """How much likelier the chosen answer is after a prompt with images than the rejected, by the model's logits."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32)
    model = PeftModel.from_pretrained(model, str(adapter)).eval()
    prompt = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["prompt"])
    prompt = (
        prompt.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>") + "<|im_start|>assistant\n"
    )
    images = [Image.open(image["image"]) for image in row["images"]]
    likelihood = {}
    for side in ("chosen", "rejected"):
        answer = row[side][0]["content"] + "<|im_end|>"
        inputs = processor(text=[prompt + answer], images=images, return_tensors="pt")
        length = len(processor.tokenizer(answer)["input_ids"])
        with torch.no_grad():
            logits = model(**inputs).logits[0, -length - 1 : -1].log_softmax(-1)
        likelihood[side] = float(logits.gather(-1, inputs["input_ids"][0, -length:, None]).sum())
    return likelihood["chosen"] - likelihood["rejected"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_what_is_preferred_can_hang_on_the_image_alone(world, tmp_path):
    """The same conversation shows a dark or a bright page in its second turn, and the better query depends on it."""
    rows = []
    for name, (better, worse) in {"black": ("seal", "rotor"), "white": ("rotor", "seal")}.items():
        Image.new("RGB", (64, 64), name).save(tmp_path / f"{name}.png")
        rows.append(
            {
                "prompt": [
                    {"role": "system", "content": "Search."},
                    {"role": "user", "content": "What is it?"},
                    {"role": "assistant", "content": "<search>it</search>"},
                    {"role": "user", "content": "1. pumps#2\n<image>"},
                ],
                "chosen": [{"role": "assistant", "content": f"<search>{better}</search>"}],
                "rejected": [{"role": "assistant", "content": f"<search>{worse}</search>"}],
                "images": [{"image": str(tmp_path / f"{name}.png")}],
            }
        )
    pq.write_table(pa.Table.from_pylist(rows * 8), tmp_path / "dpo_train.parquet")
    options = ("learning_rate=1e-2", "num_train_epochs=10", "gradient_accumulation_steps=1")
    result = dpo(world, tmp_path / "run", *options, TRAIN=str(tmp_path / "dpo_train.parquet"))
    assert result.returncode == 0, (result.stdout + result.stderr)[-3000:]
    assert list((tmp_path / "run" / "tensorboard").glob("events.*"))
    for row in rows:
        assert preference(world / "model", tmp_path / "run" / "adapter", row) > 1


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([], (), "holds no pairs"),
        ([{"images": [{"image": "a.png"}]}], (), "row 0: image a.png cannot be read"),
        ([{}], ("max_length=3",), "row 0: has "),
        ([{}], ("no_such_option=3",), "no_such_option"),
    ],
)
def test_bad_pairs_and_options_are_one_line(world, tmp_path, rows, options, message):
    from drag_rl.errors import InputError
    from drag_rl.training import dpo as module

    good = pq.read_table(world / "dpo_train.parquet").to_pylist()[0]
    schema = pq.read_schema(world / "dpo_train.parquet")
    table = pa.Table.from_pylist([{**good, **row} for row in rows])
    path = tmp_path / "dpo_train.parquet"
    pq.write_table(table if rows else schema.empty_table(), path)
    with pytest.raises(InputError, match=message):
        module.main(
            model=str(world / "model"),
            train=path,
            run=tmp_path / "run",
            config=ROOT / "configs" / "dpo.yaml",
            options=list(options),
        )


def test_only_what_the_trainer_made_is_resumed_or_removed(tmp_path):
    from drag_rl.training.dpo import last_checkpoint

    for name, state in {
        "checkpoint-10": '{"global_step": 10}',
        "checkpoint-20": '{"global_step": 20}',
        "checkpoint-30": None,  # a kill
        "checkpoint-40": "[]",
        "checkpoint-20-best": None,  # the user's
        "checkpoint-20.bak": '{"global_step": 99}',
    }.items():
        (tmp_path / name).mkdir()
        if state is not None:
            (tmp_path / name / "trainer_state.json").write_text(state)
    assert last_checkpoint(tmp_path) == str(tmp_path / "checkpoint-20")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"checkpoint-10", "checkpoint-20", "checkpoint-20-best", "checkpoint-20.bak"}
    assert last_checkpoint(tmp_path / "nowhere") is None


def test_an_adapter_from_elsewhere_is_refused_before_anything_is_trained(tmp_path):
    from drag_rl.errors import InputError
    from drag_rl.training.dpo import train_dpo

    (tmp_path / "run" / "adapter").mkdir(parents=True)
    (tmp_path / "run" / "adapter" / "weights").write_text("mine")
    with pytest.raises(InputError, match="adapter: has no manifest that says dpo made it"):
        train_dpo("no-model", tmp_path / "train.parquet", None, tmp_path / "run", {})
    assert (tmp_path / "run" / "adapter" / "weights").read_text() == "mine"
