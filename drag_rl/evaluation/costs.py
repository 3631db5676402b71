"""What a question took, in one line: the accounting that is the same for all policies."""

from __future__ import annotations

from collections.abc import Iterator

from drag_rl.evaluation.results import Results
from drag_rl.types.trajectory import ModelUse, added_up


def costs_line(results: Results) -> str:
    """The means over questions of searches, pages, calls and tokens of models, and seconds.

    What is not told is left out. Where several models were asked, each is named.
    """
    return ", ".join(_parts(results)) + " a question"


def model_uses(results: Results) -> tuple[ModelUse, ...]:
    """What was asked of each model, over all episodes; none in results that are older than this record."""
    return added_up(use for row in results.rows for sample in row.samples for use in sample.uses)


def _parts(results: Results) -> Iterator[str]:
    def mean(metric: str) -> float | None:
        return results.aggregate[metric].value

    searches, stopped = mean("searches"), mean("searches_until_stop")
    if searches is not None:
        until = "" if stopped is None or stopped == searches else f" ({stopped:.2f} until it stopped)"
        yield f"{searches:.2f} searches{until}"
    if (shown := mean("pages_shown")) is not None:
        yield f"{shown:.2f} pages ({mean('unique_pages') or 0:.2f} different)"
    uses = model_uses(results)
    episodes = max(1, sum(len(row.samples) for row in results.rows))
    for use in uses:
        read, written = use.prompt_tokens, use.completion_tokens
        tokens = (
            ""
            if read is None or written is None
            else f", {read / episodes:,.0f}+{written / episodes:,.0f} tokens"
        )
        name = f" of {use.model}" if len(uses) > 1 else ""
        yield f"{use.calls / episodes:.2f} calls{name}{tokens}"
    if (seconds := mean("message_seconds")) is not None:
        yield f"{seconds:.2f} s"
