"""How far saying some of the question's own words again could come."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from drag_rl.episode import neutralise
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import Baseline, again, allowed
from drag_rl.retrieval.base import Query
from drag_rl.types import best_rank
from drag_rl.words import words


class OracleWords(Baseline):
    """The question and, said again, those of its own words that rank its gold page best: once, or reading on.

    An upper bound for policies that weigh the question's words (found by forward selection: the word that helps
    most, then the one that helps most beside it, until none does; so not always the best of all choices).
    """

    async def query(self, state: EpisodeState) -> str | None:
        """The words alone where the question is searched with them, else the question and they."""
        if state.turns:
            return again(state)
        own = list(dict.fromkeys(word for _, word in words(neutralise(state.question.text))))
        said: list[str] = []
        [rank] = await self._ranks(state, [said])
        while rank > 1 and (choices := [[*said, word] for word in own if word not in said]):
            ranks = await self._ranks(state, choices)
            best, number = min((rank, number) for number, rank in enumerate(ranks))
            if best >= rank:
                break
            said, rank = choices[number], best
        return _query(state, said)

    async def _ranks(self, state: EpisodeState, choices: Sequence[Sequence[str]]) -> list[float]:
        """The rank of the best gold page for each choice of words, from one search."""
        question, expand = state.question, state.config.expand_question
        scope = question.searched_in(state.config.scope)
        texts = [question.searched(_query(state, said), expand=expand) for said in choices]
        queries = [Query(text=text, scope=scope, track=question.gold_page_ids) for text in texts]
        rankings = await self.retriever.search(queries, 0)
        return [best_rank(ranking.tracked) or inf for ranking in rankings]


def _query(state: EpisodeState, said: Sequence[str]) -> str:
    expansion = bool(said) and state.config.expand_question
    return allowed(" ".join(said if expansion else [state.question.text, *said]), state.config)
