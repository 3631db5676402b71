"""SFT runs of the tests, and the loss of a batch by other means."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import training_lab

ROOT = Path(__file__).resolve().parents[2]
FP32 = "engine.mixed_precision.param_dtype=fp32"


def start(world: Path, run: Path, *options: str, **env: str) -> Any:
    """Start scripts/run_sft.sh in a session of its own; its output is added to ``<run>/output.log``."""
    environment = {
        **os.environ,
        "MODEL": str(world / "model"),
        "TRAIN": str(world / "sft_trajectory_train.parquet"),
        "RUN": str(run),
        "HARDWARE": "cpu",
        **env,
    }
    command = ["bash", str(ROOT / "scripts" / "run_sft.sh"), FP32, "data.train_batch_size=8", *options]
    run.mkdir(exist_ok=True)
    log = (run / "output.log").open("ab")
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, start_new_session=True, stdout=log, stderr=log
    )


def sft(world: Path, run: Path, *options: str, **env: str) -> dict[int, dict[str, float]]:
    """Run it to its end; returns the metrics by step."""
    process = start(world, run, *options, **env)
    try:
        returncode = process.wait(900)
    finally:
        training_lab.kill(process)
    assert returncode == 0, (run / "output.log").read_text()[-3000:]
    return metrics(run / "metrics")


def metrics(folder: Path) -> dict[int, dict[str, float]]:
    """What verl logged: step -> name -> value; a later start of the run counts where both have a step."""
    found: dict[int, dict[str, float]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            row = json.loads(line)
            found.setdefault(row["step"], {}).update(row["data"])
    return found


def independent_loss(
    model_dir: Path,
    rows: list[dict[str, Any]],
    spans_of: Callable[[Mapping[str, Any], str], list[tuple[int, int]]],
    weight_of: Callable[[Mapping[str, Any]], float],
) -> float:
    """The loss of a batch from the model's own logits: no code of ours or of verl.

    Each conversation is rendered, its images are shown, and the whole is processed at once.
    """
    import torch
    from PIL import Image
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(model_dir)
    model = AutoModelForImageTextToText.from_pretrained(model_dir, dtype=torch.float32).eval()
    total = weights = 0.0
    for row in rows:
        text = rendered(row)
        images = [Image.open(image["image"]) for image in row["images"]] or None
        shown = text.replace("<image>", "<|vision_start|><|image_pad|><|vision_end|>")
        inputs = processor(text=[shown], images=images, return_tensors="pt")
        ids = inputs["input_ids"][0]
        with torch.no_grad():
            logits = model(**inputs).logits[0, :-1].log_softmax(-1)
        nll = -logits.gather(-1, ids[1:, None])[:, 0]
        spans = spans_of(row, text)
        mask = torch.tensor(
            [any(a < stop and b > begin for begin, stop in spans) for a, b in places(processor, text, ids)]
        )
        total += weight_of(row) * float(nll[mask[1:]].sum())
        weights += weight_of(row) * int(mask[1:].sum())
    return total / weights


def rendered(row: Mapping[str, Any]) -> str:
    """A conversation in the model's chat markup, with <image> where a page image stands."""
    return "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in row["messages"])


def places(processor: Any, text: str, ids: Any) -> Iterator[tuple[int, int]]:
    """Where each token stands in ``text``; all tokens of an image stand where <image> does."""
    pad = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    position = 0
    for token in ids.tolist():
        piece = processor.tokenizer.decode([token])
        if piece in ("<|vision_start|>", "<|vision_end|>") or token == pad:
            if piece == "<|vision_end|>":
                position += len("<image>")
            yield position, position
            continue
        start = position
        position += len(piece)
        assert text[start:position] == piece
        yield start, position


def assistant_spans(row: Mapping[str, Any], text: str) -> list[tuple[int, int]]:
    """Where the assistant's trained messages stand in the text, end token included."""
    spans, position = [], 0
    trained = iter(row["turn_train"])
    for message in row["messages"]:
        if message["role"] == "assistant":
            begin = text.index("<|im_start|>assistant\n" + message["content"], position)
            begin += len("<|im_start|>assistant\n")
            position = begin + len(message["content"])
            if next(trained):
                spans.append((begin, position + len("<|im_end|>")))
    return spans


def search_spans(row: Mapping[str, Any], text: str) -> list[tuple[int, int]]:
    """Where the searches of trained messages stand."""
    spans = []
    for begin, stop in assistant_spans(row, text):
        first, last = text.find("<search>", begin, stop), text.find("</search>", begin, stop)
        if first >= 0:
            spans.append((first, last + len("</search>")))
    return spans
