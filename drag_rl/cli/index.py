"""``drag index``: make the pages of a PAGES_DIR searchable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import Field, fields
from functools import partial
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer
from rich.console import Console

from drag_rl.errors import InputError
from drag_rl.files.outputs import refuse_overlap
from drag_rl.retrieval import build_index
from drag_rl.retrieval.index_folder import DEFAULT_KIND
from drag_rl.retrieval.kinds import INDEX_KINDS


def _with_options_of_kinds(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, as options, the fields of every kind of index; those that a call leaves out are not passed.

    A name that several kinds have is one option, with the first kind's help.
    """

    def called(**values: Any) -> None:
        command(**{name: value for name, value in values.items() if value is not None and value != []})

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [parameter for parameter in own.values() if parameter.kind != inspect.Parameter.VAR_KEYWORD]
    options: dict[str, inspect.Parameter] = {}
    for option in _options_of_kinds():
        options.setdefault(option.name, option)
    parameters += options.values()
    called.__doc__ = command.__doc__
    vars(called)["__signature__"] = inspect.Signature(parameters)
    return called


def _options_of_kinds() -> Iterator[inspect.Parameter]:
    """The fields of all kinds."""
    for kind in INDEX_KINDS.choices():
        with suppress(InputError):  # a package that cannot be imported says so when its kind is asked for
            yield from map(partial(_option, kind), fields(INDEX_KINDS[kind]))


def _option(kind: str, field: Field[Any]) -> inspect.Parameter:
    hint = get_type_hints(INDEX_KINDS[kind], include_extras=True)[field.name]
    value_type, help_text = get_args(hint) if get_origin(hint) is Annotated else (hint, None)
    if get_origin(value_type) is tuple:
        value_type = list[get_args(value_type)[0]]  # type: ignore[misc]
    shown = str(field.default) if field.default not in ((), None, "") else False
    option = typer.Option(help=help_text, show_default=shown, rich_help_panel=f"Options of --kind {kind}")
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[value_type | None, option],
    )


@_with_options_of_kinds
def index(
    *,
    out: Annotated[Path, typer.Option(help="Folder of the index; an older index there is replaced.")],
    pages: Annotated[
        Path | None, typer.Option(help="Pages made by `drag ingest` or `drag data`; not of a composed index.")
    ] = None,
    kind: Annotated[str, typer.Option(help=f"Kind of index: {INDEX_KINDS.listed()}.")] = DEFAULT_KIND,
    **options: Any,
) -> None:
    """Build the index that searches run against."""
    refuse_overlap({"--out": out}, {"--pages": pages} if pages else {})
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    console = Console()
    with console.status(f"Indexing {pages or out} ..."):
        manifest, built = build_index(pages, out, kind, **options)
    if not built:
        console.print(
            f"{out} is up to date: {manifest.counts['pages_indexed']} pages.", markup=False, soft_wrap=True
        )
        return
    console.print(
        f"Indexed {manifest.counts['pages_indexed']} pages into {out} in {manifest.seconds:.1f} s.",
        markup=False,
        soft_wrap=True,
    )
    for name, count in manifest.counts.items():
        if count and name.startswith(("pages_failed", "pages_left_out", "pages_without_text")):
            console.print(f"  {name.removeprefix('pages_').replace('_', ' ')}: {count}")
