"""``drag index``: make the pages of a PAGES_DIR searchable."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import typer
from rich.console import Console

from drag_rl.cli.index_bar import MOST_WORKERS, default_workers, index_bar
from drag_rl.errors import InputError
from drag_rl.files.outputs import refuse_overlap
from drag_rl.retrieval import build_index
from drag_rl.retrieval.index_folder import DEFAULT_KIND
from drag_rl.retrieval.kinds import INDEX_KINDS

SHOWN_PROBLEMS = 5


def _with_options_of_kinds(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, as options, the fields of every kind of index; those that a call leaves out are not passed."""

    def called(**values: Any) -> None:
        command(**{name: value for name, value in values.items() if value is not None and value != []})

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [parameter for parameter in own.values() if parameter.kind != inspect.Parameter.VAR_KEYWORD]
    parameters += _options_of_kinds()
    called.__doc__ = command.__doc__
    vars(called)["__signature__"] = inspect.Signature(parameters)
    return called


def _options_of_kinds() -> list[inspect.Parameter]:
    """The fields of all kinds; a name that several kinds have is one option."""
    named: dict[str, list[_KindOption]] = {}
    for kind in INDEX_KINDS.choices():
        with suppress(InputError):  # a package that cannot be imported says so when its kind is asked for
            for field in fields(INDEX_KINDS[kind]):
                named.setdefault(field.name, []).append(_KindOption.of(kind, field))
    return [_option(name, uses) for name, uses in named.items()]


@dataclass(frozen=True, slots=True)
class _KindOption:
    """A field of one kind of index."""

    kind: str
    value_type: Any
    help: str
    default: str

    @classmethod
    def of(cls, kind: str, field: Field[Any]) -> _KindOption:
        hint = get_type_hints(INDEX_KINDS[kind], include_extras=True)[field.name]
        value_type, help_text = get_args(hint) if get_origin(hint) is Annotated else (hint, "")
        if get_origin(value_type) is tuple:
            value_type = list[get_args(value_type)[0]]  # type: ignore[misc]
        default = "" if field.default in ((), None, "") else str(field.default)
        return cls(kind, value_type, help_text, default)

    @property
    def described(self) -> str:
        """Its help with its choices and its default."""
        choices = get_args(self.value_type) if get_origin(self.value_type) is Literal else ()
        chosen = f" ({', '.join(choices)})" if choices else ""
        return f"{self.help.removesuffix('.')}{chosen}" + (
            f"; {self.default} by default." if self.default else "."
        )

    @property
    def is_text(self) -> bool:
        """Whether its values are text: any, or some."""
        return self.value_type is str or get_origin(self.value_type) is Literal


def _option(name: str, uses: Sequence[_KindOption]) -> inspect.Parameter:
    """The option of a name. Where kinds differ in it, it takes what any of them takes, and says what each means."""
    first, alike = uses[0], len({(use.help, use.default) for use in uses}) == 1
    several = len({use.value_type for use in uses}) > 1
    value_type = str if several and all(use.is_text for use in uses) else first.value_type
    said = [f"{use.kind}: {use.described}" for use in uses]
    option = typer.Option(
        help=first.help if alike else " ".join(said),
        show_default=first.default if alike and first.default else False,
        rich_help_panel=f"Options of --kind {', '.join(use.kind for use in uses)}",
    )
    return inspect.Parameter(
        name,
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
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Processes that read pages; one a CPU, at most {MOST_WORKERS}, by default."
        ),
    ] = None,
    **options: Any,
) -> None:
    """Build the index that searches run against.

    Run again with changed pages and the same options, only documents that were added or changed are read again.
    """
    parts = [Path(part) for part in options.get("part", ())]
    refuse_overlap({"--out": out}, {"--pages": pages, "--part": parts})
    options = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    console = Console()
    with index_bar(f"Indexing {pages or out}") as bar:
        manifest, built = build_index(
            pages, out, kind, workers=workers or default_workers(), progress=bar, **options
        )
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
    if bar.kept:
        console.print(
            f"  {bar.kept} of {bar.documents} documents were taken over from the index that was there."
        )
    for name, count in manifest.counts.items():
        if count and name.startswith(("pages_failed", "pages_left_out", "pages_without_text")):
            console.print(f"  {name.removeprefix('pages_').replace('_', ' ')}: {count}")
    for problem in manifest.problems[:SHOWN_PROBLEMS]:
        console.print(f"  {problem.where}: {problem.reason}", markup=False, soft_wrap=True)
    if manifest.problems:
        console.print(
            f"{len(manifest.problems)} problems, all of them listed in {out / 'manifest.json'}", markup=False
        )
