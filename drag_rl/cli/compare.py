"""``drag compare``: two or more results, side by side, with verdicts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from drag_rl.errors import InputError
from drag_rl.evaluation import compare as comparing
from drag_rl.evaluation.report import comparison_text
from drag_rl.evaluation.results import read_results
from drag_rl.evaluation.seeds import by_name
from drag_rl.evaluation.terminal import print_comparison
from drag_rl.files.codec import to_json
from drag_rl.files.folders import claim_files, new_files
from drag_rl.files.manifest import sha256_file, write_manifest
from drag_rl.files.outputs import refuse_overlap

STAGE = "compare"
FILES = ("compare.md", "compare.json", "compare.png")


def compare(
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="BASE.json OTHER.json...",
            help="Results of `drag evaluate`, the base first.",
            show_default=False,
        ),
    ],
    seeds: Annotated[
        bool,
        typer.Option(
            "--seeds",
            help="Files of the same name are runs of one policy: each question counts with its mean over them.",
        ),
    ] = False,
    across_indexes: Annotated[
        bool,
        typer.Option("--across-indexes", help="Compare indexes too: of the same pages, but of any kind."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON in place of tables.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show all metrics and examples, not the short table only.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder to write compare.md (all metrics), compare.json and compare.png to."),
    ] = None,
) -> None:
    """Say, metric by metric, whether a policy is better than the base, worse, or whether one can't tell.

    All results must be of the same questions, and of the same index unless indexes are what is compared.
    """
    if len(results) < 2:
        raise InputError("give the base's results and at least one other file")
    if out is not None:
        files = [out / name for name in FILES]
        refuse_overlap({"--out": [out, *files]}, {"BASE.json OTHER.json...": results})
        claim_files(out, [STAGE], FILES)
    inputs = results
    policies = [read_results(path) for path in results]
    if seeds:
        found = by_name(results, policies)
        results, policies = list(found), list(found.values())
        if len(results) < 2:
            raise InputError(
                f"--seeds: all files are named {results[0].name}; give the base's and another policy's"
            )
    comparison = comparing.compare(results, policies, across_indexes=across_indexes)
    if out is not None:
        from drag_rl.evaluation.chart import draw

        with new_files(out, [STAGE], FILES) as folder:
            for name, text in {
                "compare.md": comparison_text(comparison, everything=True),
                "compare.json": json.dumps(json.loads(to_json(comparison)), ensure_ascii=False, indent=1)
                + "\n",
            }.items():
                (folder / name).write_text(text, encoding="utf-8")
            draw(comparison, folder / "compare.png")
            write_manifest(
                folder,
                stage=STAGE,
                fingerprint=sha256_file(folder / "compare.json"),
                inputs={str(path): sha256_file(path) for path in inputs},
                config={"seeds": seeds, "across_indexes": across_indexes},
            )
    if as_json:
        typer.echo(to_json(comparison))
        return
    more = f"{out}/compare.md" if out else "--all, or --out FOLDER"
    hint = "" if everything else f"Examples and all metrics: {more}"
    print_comparison(comparison, everything=everything, hint=hint)
