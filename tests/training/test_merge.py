"""``drag merge``: the merged model is the base with its adapter, whole; what cannot be merged is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForImageTextToText, AutoProcessor

from drag_rl.cli.main import main


@pytest.fixture(scope="module")
def adapted(tmp_path_factory, tiny_model):
    """A tiny base model, and an adapter on it whose weights are not zero."""
    folder = tmp_path_factory.mktemp("merge")
    (folder / "base").symlink_to(tiny_model)
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_pretrained(folder / "base", dtype=torch.float32)
    config = LoraConfig(
        r=4, target_modules="all-linear", exclude_modules=".*visual.*", init_lora_weights=False
    )
    get_peft_model(model, config).save_pretrained(folder / "adapter")
    return folder


def merge(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(["merge", *map(str, words)])
    return stop.value.code, capsys.readouterr()


@torch.no_grad()
def test_the_merged_model_is_base_and_adapter(adapted, tmp_path, capsys):
    out = tmp_path / "deep" / "merged"
    code, said = merge(capsys, "--adapter-path", adapted / "adapter", "--output-path", out)
    assert code == 0 and str(out) in said.out
    inputs = AutoProcessor.from_pretrained(out)(text=["Where is the seal?"], return_tensors="pt")
    base = AutoModelForImageTextToText.from_pretrained(adapted / "base", dtype=torch.float32)
    plain = base(**inputs).logits
    merged = AutoModelForImageTextToText.from_pretrained(out, dtype=torch.float32)(**inputs).logits
    adapter = PeftModel.from_pretrained(base, str(adapted / "adapter"))(**inputs).logits
    assert (merged - plain).abs().max() > 0.1
    torch.testing.assert_close(merged, adapter, atol=1e-4, rtol=1e-3)
    assert {path.name for path in out.parent.iterdir()} == {"merged"}


def test_the_base_can_be_named(adapted, tmp_path, capsys):
    moved = tmp_path / "adapter"
    moved.mkdir()
    for path in (adapted / "adapter").iterdir():
        (moved / path.name).write_bytes(path.read_bytes())
    config = json.loads((moved / "adapter_config.json").read_text())
    (moved / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    words = ("--adapter-path", moved, "--output-path", tmp_path / "merged")
    code, said = merge(capsys, *words)
    assert code == 2 and "names no base model; give one with --base" in said.err
    assert merge(capsys, *words, "--base", adapted / "base")[0] == 0


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "adapter_model.safetensors").unlink(), "has no adapter_model.safetensors"),
        (lambda folder: (folder / "adapter_config.json").unlink(), "has no adapter_config.json"),
        (lambda folder: (folder / "adapter_config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "adapter_config.json").write_text("[]"), "is not a JSON object"),
        (lambda folder: (folder / "adapter_config.json").write_text("[" * 100_000), "is not JSON"),
        (lambda folder: rank(folder, 8), "does not fit base model"),
    ],
)
def test_what_cannot_be_merged_is_one_line_and_leaves_nothing(adapted, tmp_path, capsys, spoil, says):
    folder = tmp_path / "adapter"
    folder.mkdir()
    for path in (adapted / "adapter").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    spoil(folder)
    code, said = merge(capsys, "--adapter-path", folder, "--output-path", tmp_path / "merged")
    (line,) = [line for line in said.err.splitlines() if line and "Loading weights" not in line]
    assert code == 2 and says in line
    assert {path.name for path in tmp_path.iterdir()} == {"adapter"}


def rank(folder, value):
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": value}))


def test_a_merge_takes_the_place_of_an_earlier_merge_alone(adapted, tmp_path, capsys, monkeypatch):
    out = tmp_path / "merged"
    words = ("--adapter-path", adapted / "adapter", "--output-path", out)
    out.mkdir()
    (out / "config.json").write_text("a model of the user's")
    code, said = merge(capsys, *words)
    assert code == 2 and "has no manifest that says merge made it" in said.err
    assert (out / "config.json").read_text() == "a model of the user's"
    (out / "config.json").unlink()
    assert merge(capsys, *words)[0] == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        assert merge(capsys, *words)[0] == 130
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    code, said = merge(capsys, "--adapter-path", adapted / "adapter", "--output-path", adapted / "base")
    assert code == 2 and "would overwrite --base" in said.err
    (out / "notes.txt").write_text("mine")
    code, said = merge(capsys, *words)
    assert code == 2 and "holds notes.txt, which merge did not make" in said.err
