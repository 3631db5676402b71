"""Let the published torchvision wheel import next to a CPU build of torch.

There is no CPU wheel of torchvision, and the CUDA one cannot load its compiled operators here: the import then fails
because two operators were never declared. This declares them; the transforms that image processors use are pure torch.
Every process needs it (vLLM starts its own), so :mod:`drag_rl.cpu.install` puts a start-up line into the environment.
That line runs at each start of Python, so it imports next to nothing: wrapt alone would take three times as long as
Python does.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType

_EXTENSION = "torchvision.extension"
_NMS_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _Loader(SourceFileLoader):
    """Declares the operators as soon as torchvision has found that it cannot load its own."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        if module._has_ops():
            return
        import torch

        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", _NMS_SCHEMA)


class _Finder:
    """Finds torchvision's module of compiled operators, to be loaded by ours."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == _EXTENSION else None
        if spec is not None and spec.origin is not None:
            spec.loader = _Loader(name, spec.origin)
        return spec


@cache
def on_import() -> None:
    """Have torchvision's operators declared when it is imported.

    Cached: ``site`` may read a start-up line twice.
    """
    sys.meta_path.insert(0, _Finder())
