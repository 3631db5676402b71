"""What an export may replace: its own earlier result, whole, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.models.folder import build_folder
from drag_rl.training import export
from drag_rl.training.export import export_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with a checkpoint; what verl's merger makes of it is what ``merger`` says: files by name."""
    folder = tmp_path / "run"
    (folder / "checkpoints" / "global_step_7").mkdir(parents=True)
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("7")
    (folder / "hydra" / ".hydra").mkdir(parents=True)
    (folder / "hydra" / ".hydra" / "config.yaml").write_text(
        json.dumps({"model": {"path": "base", "lora_alpha": 32}})
    )
    makes(monkeypatch, {"model.safetensors": "new"})
    return folder


def makes(monkeypatch, files):
    def merge(_, target):
        for name, text in files.items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            (target / name).write_text(text)

    monkeypatch.setattr(export, "_merge", merge)


def content(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_an_adapter_names_its_base_model_and_its_maker(run, monkeypatch):
    makes(monkeypatch, {"model.safetensors": "base", "lora_adapter/adapter_config.json": '{"r": 8}'})
    adapter = export_run(run)
    assert adapter == run / "adapter" and not (run / "model").exists()
    found = json.loads((adapter / "adapter_config.json").read_text())
    assert found == {"r": 8, "base_model_name_or_path": "base", "lora_alpha": 32}
    manifest = read_manifest(adapter)
    assert (manifest.stage, manifest.files) == ("export", ("adapter_config.json",))
    assert {path.name for path in run.iterdir()} == {"checkpoints", "hydra", "adapter"}


def test_a_folder_of_the_users_is_refused_before_anything_is_merged(run, tmp_path, monkeypatch):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("mine")
    before = content(tmp_path)
    makes(monkeypatch, {"never": "reached"})
    with pytest.raises(InputError, match=r"--out .*thesis: has no manifest that says export made it"):
        export_run(run, tmp_path / "thesis")
    with pytest.raises(InputError, match=r"--out .*run: has no manifest that says export made it"):
        export_run(run, run)
    with pytest.raises(InputError, match=r"home folder or the working directory"):
        export_run(run, Path())
    assert content(tmp_path) == before


def test_what_the_user_puts_beside_a_model_is_not_lost(run, monkeypatch):
    export_run(run)
    (run / "model" / "README.md").write_text("mine")
    before = content(run)
    with pytest.raises(InputError, match=r"holds README\.md, which export did not make; move it away"):
        export_run(run)
    assert content(run) == before
    (run / "model" / "README.md").unlink()
    makes(monkeypatch, {"model.safetensors": "newer"})
    assert (export_run(run) / "model.safetensors").read_text() == "newer"


@pytest.mark.parametrize(
    "text", ["[", "[]", "{}", "model: 3", "model: {path: base}", "model: {lora_alpha: x, path: b}"]
)
def test_a_run_that_does_not_say_what_was_trained_is_one_line(run, text):
    (run / "hydra" / ".hydra" / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=r"config\.yaml: does not say what was trained"):
        export_run(run)


@pytest.mark.parametrize("killed_at", ["old", "model"])
def test_a_kill_at_the_swap_leaves_a_whole_model(run, monkeypatch, killed_at):
    export_run(run)
    makes(monkeypatch, {"model.safetensors": "newer", "other": "newer"})
    rename = Path.rename

    def killed(path, target):
        if Path(target).name == killed_at or Path(target).suffix == f".{killed_at}":
            raise KeyboardInterrupt
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        with pytest.raises(KeyboardInterrupt):
            export_run(run)
    makes(monkeypatch, {})
    monkeypatch.setattr(export, "_merge", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export_run(run)  # the next run, which comes to nothing, puts the old one back first
    assert {name for name in content(run / "model") if name != "manifest.json"} == {"model.safetensors"}
    assert (run / "model" / "model.safetensors").read_text() == "new"


def test_a_model_builder_replaces_what_it_made_and_nothing_else(tmp_path):
    def build(seed):
        return build_folder(
            tmp_path / "tiny",
            stage="tiny",
            config={"seed": seed},
            inputs={},
            write=lambda folder: write(folder, seed),
        )

    def write(folder, seed):
        (folder / "weights").write_text(str(seed))

    assert build(1) and not build(1) and build(2)
    (tmp_path / "tiny" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which tiny did not make"):
        build(3)
    found = {path.name: path.read_text() for path in (tmp_path / "tiny").iterdir() if path.suffix != ".json"}
    assert found == {"weights": "2", "notes.txt": "mine"}
