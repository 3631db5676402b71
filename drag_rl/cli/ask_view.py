"""A question on the terminal: each query and its hits as they happen, then the answer and where it stands."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from drag_rl.evaluation.report import plain_line
from drag_rl.handoff.asking import Answered, Step
from drag_rl.handoff.generator import Generator
from drag_rl.handoff.summary import Told, place_of
from drag_rl.policies.play import Ended, Searched, Wrote
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Answer, Enough, Malformed, Outcome, Search, StopReason

WHY = {
    StopReason.ANSWERED: "the searcher answered",
    StopReason.ENOUGH: "the searcher has enough",
    StopReason.MAX_TURNS: "the searches are spent",
    StopReason.MALFORMED: "the searcher wrote no action",
    StopReason.LENGTH: "the searcher's tokens are spent",
}
LISTED_PAGES = 10
"""Pages listed where nobody answers."""


class AskView:
    """Prints steps as they come."""

    def __init__(self, console: Console, pages: PageTexts, generator: Generator | None) -> None:
        self._console = console
        self._pages = pages
        self._generator = generator
        self._question = ""

    def show(self, step: Step) -> None:
        """Print one step."""
        if isinstance(step, Wrote):
            self._wrote(step)
        elif isinstance(step, Searched):
            self._hits(step)
        elif isinstance(step, Ended):
            self._ended(step.outcome)
        else:
            self._answered(step)

    def _wrote(self, step: Wrote) -> None:
        action = step.turn.action
        if isinstance(action, Search):
            what = " · ".join(plain_line(query) for query in action.queries)
        elif isinstance(action, Enough):
            what = "that is enough"
        elif isinstance(action, Answer):
            return
        else:
            assert isinstance(action, Malformed)
            what = f"no action: {plain_line(action.reason)}"
        self._console.print(
            Text.assemble(
                (f"{step.turn.step}  ", "dim"), (what, "bold"), (f"  {step.generation.seconds:.2f} s", "dim")
            )
        )

    def _hits(self, step: Searched) -> None:
        hits = _columns(3)
        for hit in step.turn.hits:
            hits.add_row(
                Text(str(hit.rank), style="dim"),
                Text(plain_line(hit.page_id), style="cyan"),
                Text(plain_line(hit.snippet)),
            )
        if not step.turn.hits:
            hits.add_row("", Text("no page found", style="dim"), "")
        self._console.print(Padding(hits, (0, 0, 0, 3)))

    def _ended(self, outcome: Outcome) -> None:
        self._question = outcome.question.text
        searches = len(outcome.searches)
        count = f"{searches} search{'' if searches == 1 else 'es'}"
        self._console.print(
            Text(f"{count}, {WHY.get(outcome.stop_reason, outcome.stop_reason.value)}.", style="dim")
        )

    def _answered(self, step: Answered) -> None:
        self._console.print()
        answer = step.answer
        if answer is None:
            self._console.print(
                Text("Pages found, best first:" if step.page_ids else "No page was found.", style="bold")
            )
            self._places(step.page_ids[:LISTED_PAGES])
            return
        if answer.refused:
            self._console.print(Text("The pages do not hold the answer.", style="yellow"))
        else:
            lines = [plain_line(line, len(line)) for line in answer.text.splitlines()]
            self._console.print(Text("\n".join(lines) or "(an empty answer)"))
        if answer.finish_reason == "length":
            self._console.print(Text("The answer is cut: its tokens are spent.", style="yellow"))
        self._places(answer.citations)
        dropped = len(answer.dropped_citations)
        if dropped:
            self._console.print(
                Text(f"{dropped} citations of pages that were not given are left out.", style="yellow")
            )

    def _places(self, page_ids: Sequence[str]) -> None:
        """Where pages are, each with the part that fits the question."""
        places = _columns(3)
        for page_id in page_ids:
            place = place_of(page_id)
            places.add_row(
                Text(plain_line(f"[{page_id}]"), style="cyan"),
                Text(plain_line(f"{place['document']}, page {place['page']}")),
                Text(plain_line(self._pages.snippet(page_id, self._question, 100)), style="dim"),
            )
        if page_ids:
            self._console.print(Padding(places, (0, 0, 0, 3)))


def _columns(number: int) -> Table:
    """A table without lines, whose last column is cut where the terminal ends."""
    table = Table.grid(padding=(0, 2), expand=True)
    for column in range(number):
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1 if column == number - 1 else None)
    return table


def timings_table(told: Told) -> Table:
    """Where the time of each iteration went, in seconds; empty where it is not told."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (
        "seconds",
        "rendering",
        "waiting",
        "first token",
        "decoding",
        "search",
        "snippets",
        "whole",
    ):
        table.add_column(heading, justify="left" if heading == "seconds" else "right")
    for wrote, searched in told.iterations:
        timing, search = wrote.timing, searched
        spans = [
            *(
                (timing.encoding_s, timing.waiting_s, timing.first_token_s, timing.decoding_s)
                if timing
                else [None] * 4
            ),
            *((search.search_s, search.snippets_s) if search else [None] * 2),
            wrote.generation.seconds + (search.search_s + search.snippets_s if search else 0.0),
        ]
        table.add_row(f"{wrote.turn.step} {wrote.turn.action.kind}", *map(_seconds, spans))
    if told.answered.by == "generator" and told.answered.answer:
        table.add_row("generator", *[""] * 6, _seconds(told.answered.answer.seconds))
    return table


def _seconds(span: float | None) -> str:
    return "" if span is None else f"{span:.3f}"
