"""Searches on a terminal: a query shows its hits, a line that begins with a colon changes how, or opens a page."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from drag_rl.errors import InputError
from drag_rl.retrieval import Query, Retriever
from drag_rl.retrieval.blocking import blocking
from drag_rl.types import Hit

HELP = """\
words         search for them
:k 5          show five pages of each search
:scope DOC    search the pages of this document only; :scope alone searches all
:open 2       print the text of the second hit; :open PAGE_ID that of any page
:explain A.png    draw where the best hit matches the last query; :explain A.png 2 the second hit, or PAGE_ID
:q            end, as ctrl-d does"""


class SearchPrompt:
    """What is searched and how, and the hits of the last search."""

    def __init__(
        self,
        retriever: Retriever,
        console: Console,
        *,
        top_k: int = 3,
        snippet_chars: int = 400,
        scope: str | None = None,
        timings: bool = False,
    ) -> None:
        self._retriever = retriever
        self._console = console
        self._top_k = top_k
        self._snippet_chars = snippet_chars
        self._scope = scope
        self._timings = timings
        self._hits: list[Hit] = []
        self._words = ""
        self.took = ""
        """How long the last search took, and its snippets."""

    def run(self) -> None:
        """Ask for lines and do what they say, until the input ends or says so; a wrong line is no end."""
        for line in _lines():
            try:
                if line == ":q":
                    return
                if line.startswith(":"):
                    self._command(*line[1:].split(maxsplit=1))
                elif line:
                    self.show(line)
            except InputError as error:
                self._say(str(error))

    def show(self, words: str) -> None:
        """Print the hits of a query."""
        hits = self.search(words)
        if hits:
            table = Table("rank", "page", "score", "snippet", show_lines=True)
            for hit in hits:
                table.add_row(str(hit.rank), _visible(hit.page_id), f"{hit.score:.2f}", _visible(hit.snippet))
            self._console.print(table)
        else:
            self._say(f"No page{'' if self._scope is None else f' of {self._scope}'} matches: {words}")
        if self._timings:
            self._say(self.took)

    def search(self, words: str) -> list[Hit]:
        """The hits of a query, with their snippets. Raises ``InputError`` for a scope that is not in the index."""
        started = time.perf_counter()
        self._words = words
        query = Query(text=words, scope=self._scope)
        (ranking,) = blocking(self._retriever.search([query], self._top_k))
        searched = time.perf_counter()
        pages = self._retriever.pages
        self._hits = [
            replace(hit, snippet=pages.snippet(hit.page_id, words, self._snippet_chars))
            for hit in ranking.hits
        ]
        cut = time.perf_counter()
        self.took = f"search {(searched - started) * 1000:.1f} ms, snippets {(cut - searched) * 1000:.1f} ms"
        return self._hits

    def explain(self, out: Path, page: str | None = None) -> str:
        """Write why a page matched the last query, the best hit by default, as a picture; returns what was written.

        Raises ``InputError`` where there is no hit, no such page, or no part of the index that sees page images.
        """
        from drag_rl.retrieval.late.heat_drawing import write_heat_map
        from drag_rl.retrieval.late.heat_map import explained

        if not self._words:
            raise InputError("there is no query to explain: search first")
        if page is None and not self._hits:
            raise InputError(f"no page matches, so none can be explained: {self._words}")
        page_id = self._page_id(page or "1")
        self._retriever.pages.row(page_id)  # refuses a page that is not in the index
        write_heat_map(blocking(explained(self._words, page_id, self._retriever)), page_id, out)
        return _visible(f"{out}: where {page_id} matches the query").plain

    def _command(self, name: str = "", value: str = "") -> None:
        if name == "k":
            if not (value.isascii() and value.isdigit() and int(value)):
                raise InputError(f":k {value}: is no number of pages, such as :k 5")
            self._top_k = int(value)
        elif name == "scope":
            if value:
                self._retriever.pages.rows_of(value)  # refuses a document that is not in the index
            self._scope = value or None
        elif name == "open":
            page_id = self._page_id(value)
            self._console.print(Text(page_id, style="bold"))
            self._say(self._retriever.pages.text(page_id))
        elif name == "explain":
            if not value:
                raise InputError(":explain needs a picture to write, such as :explain why.png")
            out, *page = value.split(maxsplit=1)
            self._say(self.explain(Path(out), *page))
        else:
            self._say(HELP)

    def _page_id(self, value: str) -> str:
        """The page of a rank among the last hits, or the page of this id."""
        if not (value.isascii() and value.isdigit()):
            return value
        of_rank = {hit.rank: hit.page_id for hit in self._hits}
        if int(value) not in of_rank:
            raise InputError(f"there is no hit {value}: the last search has {len(of_rank)} hits")
        return of_rank[int(value)]

    def _say(self, text: str) -> None:
        self._console.print(_visible(text), soft_wrap=True)


def _lines() -> Iterator[str]:
    """What is typed, or comes in by a pipe, line by line."""
    typed = sys.stdin.isatty()
    if typed:
        import readline  # noqa: F401 (gives input() its history and editing)
    while True:
        try:
            yield input("search> " if typed else "").strip()
        except EOFError:
            return


def _visible(text: str) -> Text:
    """A text whose control characters, which a terminal would obey, are spaces."""
    return Text("".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text))
