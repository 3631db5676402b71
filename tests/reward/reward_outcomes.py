"""Outcomes of every kind, made by hand or by hypothesis, consistent as an episode makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hypothesis import strategies as st

from drag_rl.protocol import EpisodeConfig
from drag_rl.types import Answer, Hit, Malformed, Outcome, Question, Search, StopReason, Turn

PAGES = tuple(f"doc#{number}" for number in range(1, 31))
QUESTION = Question(question_id="q", text="How are tables merged?", gold_page_ids=("doc#1", "doc#2"))


def search(*ranks: int | None, query: str = "merge tables", top_k: int = 3, shown: bool = True) -> Turn:
    """A search whose gold pages ``doc#1``, ``doc#2``, ... have these ranks; other pages fill the top k."""
    gold = {rank: PAGES[place] for place, rank in enumerate(ranks) if rank is not None}
    others = iter(PAGES[len(ranks) :])
    pages = [gold.get(rank) or next(others) for rank in range(1, top_k + 1)]
    return searched(query, pages, ranks, shown=shown)


def searched(query: str, pages: Sequence[str], ranks: Sequence[int | None], *, shown: bool = True) -> Turn:
    """A search that found these pages, best first."""
    hits = tuple(
        Hit(page_id=page, rank=rank, score=1.0 / rank, snippet=f"Text of {page}, merged by key.")
        for rank, page in enumerate(pages, start=1)
    )
    lines = (
        "\n".join(f"{hit.rank}. {hit.page_id}: {hit.snippet}" for hit in hits)
        or f'No page matches "{query}".'
    )
    return Turn(
        step=1,
        text=f"<think>Try this.</think><search>{query}</search>",
        action=Search(query=query, thought="Try this."),
        hits=hits,
        gold_ranks=tuple(ranks),
        observation=f"<information>\n{lines}\n</information>" if shown else "",
    )


def answer(text: str = "by key", *citations: str) -> Turn:
    return Turn(step=1, text=f"<answer>{text}</answer>", action=Answer(text=text, citations=citations))


def malformed(text: str = "no") -> Turn:
    return Turn(step=1, text=text, action=Malformed(reason="found no tag"))


def outcome_of(
    turns: Sequence[Turn], *, question: Question = QUESTION, top_k: int = 3, answers: Sequence[str] = ()
) -> Outcome:
    if answers:
        question = Question(
            question_id="q", text=question.text, gold_page_ids=question.gold_page_ids, answers=tuple(answers)
        )
    return Outcome(
        question=question,
        turns=tuple(turns),
        stop_reason=StopReason.ANSWERED,
        config=EpisodeConfig(top_k=top_k, max_turns=max(6, len(turns))),
        corpus_pages=10_000,
    )


def configured(outcome: Outcome, **options: object) -> Outcome:
    """The outcome, had its episode been allowed something else."""
    return replace(outcome, config=outcome.config.model_copy(update=options))


variants = st.sampled_from(["best", "first", "last"])
rank = st.none() | st.integers(1, 10_000)
words = st.text(alphabet="ab ?ж語.", max_size=12)


@st.composite
def searches(draw: st.DrawFn, golds: int, top_k: int) -> Turn:
    """A search with distinct exact ranks of its gold pages, the hits that these imply, and any text."""
    ranks = draw(st.lists(rank, min_size=golds, max_size=golds, unique_by=lambda r: r or object()))
    query = draw(
        st.sampled_from(["merge tables", "Tables merge", "join", "x" * 700]) | words.filter(str.strip)
    )
    found = {r: PAGES[place] for place, r in enumerate(ranks) if r is not None}
    fill = iter(draw(st.permutations(PAGES[golds:])))
    pages = [found.get(r) or next(fill) for r in range(1, draw(st.integers(0, top_k)) + 1)]
    pages += [found[r] for r in range(len(pages) + 1, top_k + 1) if r in found and len(pages) == r - 1]
    return searched(query, pages, ranks, shown=draw(st.booleans()))


@st.composite
def outcomes(draw: st.DrawFn, searching: bool = False) -> Outcome:
    """A finished episode: any number of searches and malformed messages, an answer or none."""
    golds, top_k = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    cited = st.lists(st.sampled_from(PAGES[:5]), max_size=3, unique=True)
    steps = draw(
        st.lists(searches(golds, top_k) | st.builds(malformed, words), min_size=int(searching), max_size=6)
    )
    if searching:
        steps.insert(0, draw(searches(golds, top_k)))
    if draw(st.booleans()):
        steps.append(answer(draw(words.filter(str.strip)), *draw(cited)))
    question = Question(
        question_id="q",
        text=draw(words),
        gold_page_ids=PAGES[:golds],
        answers=tuple(draw(st.lists(words.filter(str.strip), max_size=2))),
    )
    return outcome_of(steps, question=question, top_k=top_k)


groups = st.lists(outcomes(), min_size=1, max_size=8)
