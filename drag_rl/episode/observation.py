"""What the policy is given back after a turn, and how it shrinks when a token budget is nearly spent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from drag_rl.episode.neutral import neutralise
from drag_rl.types import Hit
from drag_rl.words import UNSPACED

Message = dict[str, Any]
"""An OpenAI-style message; image parts are ``{"type": "image"}`` with ``page_id``, or a file's ``path``."""
IMAGE = "<image>"
"""Stands for an image where a message is written as plain text (verl's own placeholder); never page text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """A proposed observation: pure, not yet part of the episode, so a driver may take a ``smaller`` one."""

    hits: tuple[Hit, ...] = ()
    """The pages found, best first."""
    lead: str = ""
    """A line before the hits."""
    note: str = ""
    """A line of our own after the hits: what is left to do."""
    role: Literal["user", "tool"] = "user"
    wrap: bool = True
    """Whether the hits stand between ``<information>`` tags."""
    seen: frozenset[str] = frozenset()
    """Pages that an earlier observation listed."""
    page_ids: tuple[str, ...] = ()
    """Pages whose images are part of the message, in order."""
    snippet_chars: int = 0
    """Characters of text shown of each hit, at most."""
    show_page_ids: bool = True
    """Whether each hit is named by its page id."""
    numbered_from: int = 0
    """How many hits the episode showed before, where all of them are numbered through; else 0."""

    @property
    def message(self) -> Message:
        """The message to append: its content is a string, or a list of parts when there are images."""
        content: str | list[Message] = self.text
        if self.page_ids:
            content = list(self._parts())
        extra = {"name": "search"} if self.role == "tool" else {}
        return {"role": self.role, "content": content, **extra}

    @property
    def text(self) -> str:
        """The message as text, with ``<image>`` where an image stands."""
        return "".join(part["text"] if part["type"] == "text" else IMAGE for part in self._parts())

    @property
    def snippets(self) -> tuple[str, ...]:
        """The text that is shown of each hit, tags made inert."""
        return tuple(neutralise(cut(hit.snippet, self.snippet_chars)) for hit in self.hits)

    def smaller(self) -> Observation | None:
        """The next smaller version: fewer images (worst hit first), then shorter snippets, then page ids.

        None when nothing is left to drop. At most ``top_k + 3`` steps lead there.
        """
        if self.page_ids:
            return replace(self, page_ids=self.page_ids[:-1])
        if self.snippet_chars and any(hit.snippet for hit in self.hits):
            return replace(self, snippet_chars=self.snippet_chars // 2 if self.snippet_chars > 80 else 0)
        return None

    def _parts(self) -> Iterator[Message]:
        """Text and image parts in turn; each image follows the line with its page id."""
        text = "<information>\n" if self.wrap else ""
        text += neutralise(self.lead) + "\n" if self.lead else ""
        for hit, snippet in zip(self.hits, self.snippets, strict=True):
            text += neutralise(self._line(hit, snippet)) + "\n"
            if hit.page_id in self.page_ids:
                yield {"type": "text", "text": text}
                yield {"type": "image", "page_id": hit.page_id}
                text = "\n"
        text += "</information>\n" if self.wrap else ""
        yield {"type": "text", "text": (text + self.note).rstrip("\n")}

    @property
    def names(self) -> dict[str, str]:
        """The page id of each hit, by what the policy can name it by: the page id as it is shown, or its number."""
        if self.show_page_ids:
            return {shown_as(hit.page_id): hit.page_id for hit in self.hits}
        return {str(self.numbered_from + hit.rank): hit.page_id for hit in self.hits}

    def _line(self, hit: Hit, snippet: str) -> str:
        name = hit.page_id if self.show_page_ids else ""
        name += " (shown before)" if hit.page_id in self.seen else ""
        colon = ":" if name and snippet else ""
        return " ".join(f"{self.numbered_from + hit.rank}. {name}{colon} {snippet}".split())


def shown_as(page_id: str) -> str:
    """What an observation calls a page.

    >>> shown_as("a  <search> manual#1")
    'a ‹search> manual#1'
    """  # noqa: RUF002 (as episode.neutral)
    return neutralise(" ".join(page_id.split()))


def cut(text: str, max_chars: int) -> str:
    """The beginning of a text on a word boundary, with ``…`` where something is missing.

    >>> cut("merge two data frames", 12), cut("merge", 12), cut("merge", 0)
    ('merge two…', 'merge', '')
    >>> cut("R 言語でデータを結合する", 8)
    'R 言語でデー…'
    """
    text = " ".join(text.split())
    if len(text) <= max_chars:
        return text
    kept = text[:max_chars]
    whole_words = "" if UNSPACED.match(text, max_chars - 1) else kept.rpartition(" ")[0]
    return (whole_words or kept[:-1]) + "…" if kept else ""


def as_text(message: Message) -> str:
    """A message's content as text, with ``<image>`` where an image stands (what verl's data sets read).

    >>> as_text({"content": [{"type": "image", "path": "a.png"}, {"type": "text", "text": "What?"}]})
    '<image>What?'
    """
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] if part["type"] == "text" else IMAGE for part in content)
