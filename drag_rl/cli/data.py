"""``drag data``: the makers of data, each of which is a module of ``data_preprocess`` with an app of its own."""

from __future__ import annotations

import typer

from data_preprocess import (
    build,
    convert,
    export,
    judged_questions,
    pickled_labels,
    sample_corpus,
    user_questions,
)

data = typer.Typer(no_args_is_help=True, help="Make pages and questions to learn from.")
for maker in (sample_corpus, build, user_questions, judged_questions, pickled_labels, convert, export):
    data.add_typer(maker.app)
