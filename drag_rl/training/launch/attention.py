"""Which attention a training on a GPU uses: flash-attn where it is installed, else PyTorch's own (sdpa).

verl 0.9.1 asks for ``flash_attention_2`` unless told otherwise (``workers/config/model.py:185``). Without padding the
sequences of a micro-batch are packed into one, and attention has to keep them apart: flash-attn does, and transformers'
sdpa does too, by a mask made from the positions, for the models whose attention verl leaves to transformers. The
attention of Qwen2-VL and Qwen2.5-VL is replaced by one that calls flash-attn (``models/transformers/monkey_patch.py``,
Step 2), so those are padded.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PACKED_BY_SDPA = frozenset({"qwen3_vl"})
"""``model_type`` of models whose probabilities were measured to be equal for packed and padded sequences."""


@dataclass(frozen=True, slots=True)
class Attention:
    """What a model is told: transformers' name of the attention, and whether sequences are packed."""

    implementation: str
    remove_padding: bool

    def overrides(self, *models: str) -> Iterator[str]:
        """Hydra overrides for each model's part of the configuration, such as ``critic.model``."""
        for model in models:
            yield f"{model}.use_remove_padding={str(self.remove_padding).lower()}"
            yield f"++{model}.override_config.attn_implementation={self.implementation}"

    def __str__(self) -> str:
        padding = "without padding" if self.remove_padding else "with padding: long batches take more memory"
        return f"flash-attn is not installed: attention by {self.implementation}, {padding}"


def fallback(model: str) -> Attention | None:
    """What to use for ``model`` (a folder or a hub id) in place of flash-attn; None where that is installed."""
    if find_spec("flash_attn") is not None:
        return None
    return Attention("sdpa", remove_padding=model_type(model) in PACKED_BY_SDPA)


def model_type(model: str) -> str | None:
    """The ``model_type`` of a model's config.json; None if it cannot be read here."""
    path = Path(model) / "config.json"
    if not Path(model).is_dir():
        path = _from_hub(model) or path
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(found)


def _from_hub(model: str) -> Path | None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(model, "config.json"))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError):
        return None
