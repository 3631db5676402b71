"""Make a retriever model of a base Qwen3-VL: ``python -m drag_rl.retrieval.late.new_model --base MODEL --out DIR``.

It gets a projection at random, and has to be trained before it finds anything (``scripts/run_retriever.sh``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drag_rl.console import run_app
from drag_rl.errors import InputError
from drag_rl.models.folder import build_folder
from drag_rl.retrieval.late.model_files import DEFAULT_DIM

MAX_VISUAL_TOKENS = 768
"""Of a page, unless the base model's own limit is lower: with it ColQwen3 models are trained, and a page takes 768
vectors. Qwen3-VL's own limit, 16,384, is for reading, and would make an index twenty times as large."""


def create_retriever_model(
    base: str, out: Path, *, dim: int = DEFAULT_DIM, seed: int = 0, max_visual_tokens: int = MAX_VISUAL_TOKENS
) -> bool:
    """Write the base model, without its head and with a drawn projection, to the folder ``out``.

    Args:
        base: Folder or hub id of a Qwen3-VL.
        out: The folder to write; one that this made from the same base and settings is kept.
        dim: Numbers of a vector.
        seed: Of the projection, which depends on it alone.
        max_visual_tokens: Visual tokens of a page, at most; a base model's lower limit stays.

    Returns:
        Whether it was not there already.

    Raises:
        InputError: The base is no Qwen3-VL, has a projection already or lacks a weight; or ``out`` holds other files.
    """
    from drag_rl.retrieval.dense.model_files import model_fingerprint, model_folder

    if dim < 1 or max_visual_tokens < 1:
        raise InputError(f"--dim {dim}, --max-visual-tokens {max_visual_tokens}: give numbers from 1")
    source = model_folder(base)

    def write(folder: Path) -> None:
        from drag_rl.retrieval.late.checkpoint import load_checkpoint
        from drag_rl.retrieval.late.encoder import ColQwen3Module, new_encoder
        from drag_rl.retrieval.late.loading import load_processor
        from drag_rl.retrieval.late.model import draw_projection
        from drag_rl.retrieval.late.model_files import projection_width

        if projection_width(source):
            raise InputError(f"--base {base}: is a retriever model already")
        model = load_checkpoint(source, new_projection=dim)
        draw_projection(model, seed)
        own = load_processor(source).limits.most_tokens
        pages = load_processor(source, min(own, max_visual_tokens))
        encoder = new_encoder(ColQwen3Module(model, pages), "cpu")
        encoder.save_pretrained(str(folder), create_model_card=False)

    return build_folder(
        out,
        stage="drag_rl.retrieval.late.new_model",
        config={"dim": dim, "seed": seed, "max_visual_tokens": max_visual_tokens},
        inputs={"base": model_fingerprint(source)},
        write=write,
    )


def _main(
    base: Annotated[str, typer.Option(help="Qwen3-VL, a folder or a hub id.")],
    out: Annotated[Path, typer.Option(help="Folder to write the retriever model to.")],
    dim: Annotated[int, typer.Option(min=1, help="Numbers of a vector.")] = DEFAULT_DIM,
    seed: Annotated[int, typer.Option(help="Seed of the projection.")] = 0,
    max_visual_tokens: Annotated[
        int, typer.Option(min=1, help="Visual tokens of a page, at most.")
    ] = MAX_VISUAL_TOKENS,
) -> None:
    """Give a base Qwen3-VL a projection: an untrained retriever model."""
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    built = create_retriever_model(base, out, dim=dim, seed=seed, max_visual_tokens=max_visual_tokens)
    typer.echo(f"{out}: {'built' if built else 'up to date'}")


if __name__ == "__main__":
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(_main)
    run_app(app, "drag_rl.retrieval.late.new_model")
