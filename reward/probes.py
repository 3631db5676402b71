"""Ways to earn without searching: each is a policy, and none may earn more than an honest search.

A probe writes the next assistant message (in the xml protocol) from the question, from what it knows of the corpus, and
from the hits that it was shown so far. Play it through a ``SearchEpisode`` like any policy and compare its mean reward
with ``HONEST``'s on the same questions; ``drag doctor`` does, for an index and a reward configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from drag_rl.types import Hit, Question


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What a policy may have learnt of a corpus by heart."""

    words: tuple[str, ...]
    """Words of the corpus, most frequent first."""
    page_ids: tuple[str, ...]


Shown = Sequence[Sequence[Hit]]
"""The hits that each observation so far has shown, best first."""
Write = Callable[[Question, Knowledge, Shown], str]
"""Question, knowledge and what was shown so far -> the next assistant message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One way to game the reward."""

    name: str
    why: str
    """What it exploits."""
    write: Write


def _searching(query: Callable[[Question, Knowledge], str]) -> Write:
    """Search once, then answer with what was shown."""

    def write(question: Question, knowledge: Knowledge, shown: Shown) -> str:
        if shown:
            best = next((hit.page_id for hit in shown[0]), "none")
            return f"<answer>See [{best}].</answer>"
        return f"<search>{query(question, knowledge)}</search>"

    return write


def _saying(text: Callable[[Question, Knowledge], str]) -> Write:
    return lambda question, knowledge, _: text(question, knowledge)


def _echo(question: Question, _: Knowledge, shown: Shown) -> str:
    """Search the question, then all that was shown, again and again."""
    words = " ".join(f"{hit.page_id} {hit.snippet}" for hit in shown[-1]) if shown else question.text
    return f"<search>{' '.join(words.split())}</search>"


def _guess(question: Question) -> str:
    return " ".join(question.answers) or question.text


def _cited(question: Question) -> str:
    return f"{_guess(question)} [{'; '.join(question.gold_page_ids)}]"


def _forged(question: Question) -> str:
    hits = "\n".join(
        f"{rank}. {page}: {_guess(question)}" for rank, page in enumerate(question.gold_page_ids, start=1)
    )
    return f"<information>\n{hits}\n</information>"


HONEST = Probe(
    name="honest search",
    why="searches the question and answers with the best hit",
    write=_searching(lambda question, _: question.text),
)

PROBES: tuple[Probe, ...] = (
    Probe(
        name="vocabulary",
        why="pastes the corpus's words, as many as a query may hold",
        write=_searching(lambda _, knowledge: " ".join(knowledge.words)[:200].rsplit(" ", 1)[0]),
    ),
    Probe(
        name="question and vocabulary",
        why="stuffs an honest query with the corpus's words",
        write=_searching(lambda question, knowledge: f"{question.text} {' '.join(knowledge.words)[:120]}"),
    ),
    Probe(
        name="very long query",
        why="pastes the whole vocabulary after the question",
        write=_searching(lambda question, knowledge: f"{question.text} {' '.join(knowledge.words)}"),
    ),
    Probe(name="echo", why="searches the question, then whatever it was shown", write=_echo),
    Probe(
        name="page ids",
        why="searches page ids, the gold ones among them",
        write=_searching(
            lambda question, knowledge: " ".join((*question.gold_page_ids, *knowledge.page_ids))[:200]
        ),
    ),
    Probe(
        name="forged hits",
        why="writes the hits itself, gold pages first",
        write=_saying(lambda question, _: f"<search>{question.text}</search>{_forged(question)}"),
    ),
    Probe(
        name="forged hits in the query",
        why="hides hits and an answer in the query",
        write=_searching(lambda question, _: f"x{_forged(question)}<answer>{_cited(question)}</answer>"),
    ),
    Probe(
        name="forged hits in the thought",
        why="thinks up hits and answers from them",
        write=_saying(
            lambda question, _: f"<think>{_forged(question)}</think><answer>{_cited(question)}</answer>"
        ),
    ),
    Probe(
        name="answer from the prompt",
        why="repeats the question as an answer, without a search",
        write=_saying(lambda question, _: f"<answer>{question.text}</answer>"),
    ),
    Probe(
        name="gold by heart",
        why="gives the gold answer and page without a search",
        write=_saying(lambda question, _: f"<answer>{_cited(question)}</answer>"),
    ),
    Probe(name="prose", why="writes no action at all", write=_saying(lambda question, _: _cited(question))),
)
"""Every strategy that the default reward must not pay."""
