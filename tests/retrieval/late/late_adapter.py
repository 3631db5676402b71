"""An adapter of a retriever model whose weights are large enough to change what it sees."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def adapted(model: Any, **changes: Any) -> Any:
    """A model with random LoRA weights on its language layers, and another projection."""
    import torch
    from peft import LoraConfig, get_peft_model

    settings = {
        "r": 4,
        "target_modules": r"(?!.*visual).*\.(q_proj|v_proj)",
        "modules_to_save": ["custom_text_proj"],
        "init_lora_weights": False,
    }
    peft_model = get_peft_model(model, LoraConfig(**(settings | changes)))
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in sorted(peft_model.named_parameters()):
            if "lora_" in name or "modules_to_save" in name:
                weight.copy_(torch.randn(weight.shape, generator=drawn) * 0.3)
    return peft_model.eval()


def make_adapter(base: Path, out: Path, *, new_projection: int = 0, **changes: Any) -> Path:
    """Write such an adapter of the model in ``base``, a retriever model or, with ``new_projection``, a Qwen3-VL."""
    from drag_rl.retrieval.late.checkpoint import load_checkpoint

    model = load_checkpoint(base, dtype="auto", new_projection=new_projection)
    model.name_or_path = str(base)
    adapted(model, **changes).save_pretrained(out, save_embedding_layers=False)
    return out
