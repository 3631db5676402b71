"""A weight that is missing, unknown or misshapen is refused by its name; so is a model that is no retriever."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from late_adapter import make_adapter

from drag_rl.errors import InputError
from drag_rl.retrieval.late.embedder import MultiVectorSettings, open_multi_vector_embedder


def load(model: Path, adapter: Path | None = None) -> Any:
    from drag_rl.retrieval.late.loading import load_encoder

    settings = MultiVectorSettings(model=str(model), adapter=str(adapter) if adapter else None, device="cpu")
    return load_encoder(settings)


@pytest.fixture
def changed(tiny_late_model: Path, tmp_path: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """A copy of the model with other weights."""

    def change(how: Callable[[dict[str, Any]], None]) -> Path:
        from safetensors.torch import load_file, save_file

        folder = shutil.copytree(tiny_late_model, tmp_path / "changed")
        weights = load_file(folder / "model.safetensors")
        how(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        return Path(folder)

    return change


def drop(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda weights: weights.pop(name)


def add(name: str, *shape: int) -> Callable[[dict[str, Any]], None]:
    import torch

    return lambda weights: weights.update({name: torch.zeros(shape)})


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("language_model.layers.2.mlp.up_proj.weight", None, "layers.2.mlp.up_proj.weight missing"),
        ("visual.deepstack_merger_list.1.linear_fc1.weight", None, "linear_fc1.weight missing"),
        (
            "language_model.layers.9.mlp.up_proj.weight",
            (3, 3),
            "layers.9.mlp.up_proj.weight not of this model",
        ),
        ("custom_text_proj.bias", (128,), "a projection with a bias is not supported"),
        ("language_model.norm.weight", (7,), r"norm.weight has shape \(7,\), where \(128,\) is needed"),
    ],
)
def test_other_weights_are_refused_by_name(
    changed: Callable[..., Path], name: str, shape: tuple[int, ...] | None, said: str
) -> None:
    folder = changed(drop(name) if shape is None else add(name, *shape))
    with pytest.raises(InputError, match=said) as stop:
        load(folder)
    assert str(folder) in str(stop.value) and "\n" not in str(stop.value)


def test_a_base_model_is_refused_with_the_command_that_makes_a_retriever_of_it(tiny_model: Path) -> None:
    with pytest.raises(
        InputError, match=r"no projection .* python -m drag_rl.retrieval.late.new_model --base"
    ):
        load(tiny_model)


def test_an_adapter_brings_the_projection_of_a_base_model(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "adapter", new_projection=48)
    encoder = load(tiny_model, adapter)
    assert encoder.encode(["one"], task="query")[0].shape[1] == 48
    model = open_multi_vector_embedder(MultiVectorSettings(model=str(adapter), device="cpu"))
    assert model.width == 48 and model.embed_queries(["one"])[0].shape[1] == 48


def test_an_adapter_that_lacks_a_weight_or_has_another_is_refused(
    tiny_late_model: Path, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    adapter = make_adapter(tiny_late_model, tmp_path / "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    name = next(name for name in weights if "layers.1.self_attn.q_proj.lora_A" in name)
    taken = weights.pop(name)
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"--adapter .*q_proj.lora_A.weight missing"):
        load(tiny_late_model, adapter)
    other = name.replace("layers.1.", "layers.77.")
    save_file({**weights, name: taken, other: taken.clone()}, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"--adapter .*layers.77.* not of this model"):
        load(tiny_late_model, adapter)
    save_file({**weights, name: taken[:, :5].contiguous()}, adapter / "adapter_model.safetensors")
    with pytest.raises(InputError, match="does not fit the model"):
        load(tiny_late_model, adapter)


def test_an_adapter_of_a_base_model_needs_a_projection(tiny_model: Path, tmp_path: Path) -> None:
    adapter = make_adapter(tiny_model, tmp_path / "adapter", new_projection=48, modules_to_save=None)
    with pytest.raises(InputError, match="no projection"):
        load(tiny_model, adapter)


def test_what_is_no_model_is_refused_in_a_line(tiny_late_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_late_model, tmp_path / "model"))
    for name, content, said in (
        ("config.json", '{"model_type": "klingon"}', "is of type klingon, where a Qwen3-VL"),
        ("config.json", "[", "config.json: cannot be read"),
        ("config.json", '"qwen"', "config.json: cannot be read"),
        ("modules.json", "{}[", "modules.json: cannot be read"),
        ("model.safetensors", "x" * 100, "is no safetensors file"),
        ("preprocessor_config.json", "[", "processor cannot be loaded"),
    ):
        path = folder / name
        if not path.exists():  # newer releases of transformers write processor_config.json
            path = folder / "processor_config.json"
        before = path.read_bytes()
        path.write_text(content)
        with pytest.raises(InputError, match=said) as stop:
            load(folder)
        assert "\n" not in str(stop.value)
        path.write_bytes(before)
    load(folder)


def test_an_adapter_is_found_or_refused(tiny_late_model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"--adapter .* has no adapter_config.json"):
        load(tiny_late_model, tmp_path)
    with pytest.raises(InputError, match=r"--adapter no/such: is no folder here"):
        load(tiny_late_model, Path("no/such"))
    adapter = make_adapter(tiny_late_model, tmp_path / "adapter")
    with pytest.raises(InputError, match="is an adapter itself"):
        load(adapter, adapter)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    with pytest.raises(InputError, match="names no base model"):
        load(adapter)
    (adapter / "adapter_config.json").write_text("[]")
    with pytest.raises(InputError, match="cannot be read"):
        load(adapter)
