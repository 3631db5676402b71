"""``--searcher``: one option for all that can search, for commands that ask one searcher at a time."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.errors import InputError
from drag_rl.policies.source import PolicyOptions
from drag_rl.policies.table import POLICIES

ADAPTER_CONFIG = "adapter_config.json"
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")

SearcherName = Annotated[
    str | None,
    typer.Option(
        metavar="SEARCHER",
        help="Who searches: a model's folder or hub id, an adapter's folder or NAME=FOLDER, the address of a server "
        "(then --model too), or a policy such as raw-question. The options below say more of it.",
    ),
]


def with_searcher(searcher: str | None, options: PolicyOptions) -> PolicyOptions:
    """The options of a policy, with what ``--searcher`` names. Raises InputError for what cannot search."""
    model = options.model
    if searcher is None:
        return options
    if searcher in POLICIES:
        return replace(options, name=searcher)
    if searcher.startswith(("http://", "https://")):
        return replace(options, model=replace(model, base_url=searcher))
    folder = Path(searcher)
    if (folder / ADAPTER_CONFIG).is_file():
        return _adapter(f"{folder.resolve().name}={searcher}", folder, options)
    name, equals, path = searcher.partition("=")
    if name and equals and not folder.is_dir():
        return _adapter(searcher, Path(path), options)
    if folder.is_dir() or _HUB_ID.fullmatch(searcher):
        return replace(options, model=replace(model, model_path=searcher))
    raise InputError(
        f"--searcher {searcher}: is no folder, no adapter, no address and no policy; policies are {POLICIES.listed()}"
    )


def _adapter(choice: str, folder: Path, options: PolicyOptions) -> PolicyOptions:
    """The adapter on the model that it was trained on, unless ``--model-path`` names another."""
    base = options.model.model_path
    if base is None:
        try:
            config = json.loads((folder / ADAPTER_CONFIG).read_text(encoding="utf-8"))
            base = str(config["base_model_name_or_path"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"--searcher {choice}: is no folder of a LoRA adapter ({error})") from None
    return replace(options, model=replace(options.model, model_path=base, adapter=choice))
