"""``drag merge``: a LoRA adapter into its base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    adapter_path: Annotated[
        Path, typer.Option(help="PEFT adapter: RUN/adapter of run_sft.sh, run_dpo.sh or run_retriever.sh.")
    ],
    output_path: Annotated[Path, typer.Option(help="Folder for the merged model.")],
    base: Annotated[
        str | None, typer.Option(help="Base model, path or hub id.  [default: what the adapter names]")
    ] = None,
) -> None:
    """Fold a LoRA adapter into its base model."""
    from drag_rl.training.merge import merge_adapter

    typer.echo(f"merged model: {merge_adapter(adapter_path, output_path, base)}")
