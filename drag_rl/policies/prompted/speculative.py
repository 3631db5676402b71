"""Speculative RAG: several short drafts from different pages, of which a verifier takes the one that it believes most.

Source: Wang et al. 2024, "Speculative RAG: Enhancing Retrieval Augmented Generation through Drafting" (arXiv
2407.08223).

The paper's: one search; its 10 pages are clustered; 5 subsets of 2, one page of each cluster, are drawn; a small
model, trained for it, drafts a rationale and an answer from each subset at once; a larger one scores each draft by the
probability of rationale and answer given the question, times the probability of "Yes" to whether the rationale supports
the answer, without reading a page; the best draft is the answer. Ours: the drafter is not trained, and is the verifier
too unless another model of the server is named; pages are clustered by their words (spherical k-means over tf-idf), not
by embeddings; the subsets are taken in the order of ranks, not drawn, and all together have no more pages than were
found; and the one search reads as deep as the budget, where a search shows new pages only. It needs vLLM, which scores
a given text (``prompt_logprobs``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

from pydantic import Field

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState
from drag_rl.policies.baselines.baseline import again
from drag_rl.policies.prompted.at_once import at_once
from drag_rl.policies.prompted.page_clusters import clusters
from drag_rl.policies.prompted.prompted import Prompted
from drag_rl.policies.prompted.reading import one_line, pages_of, with_pages
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import PolicyOptions
from drag_rl.types import Hit

_LEAST = 1e-12
"""Stands for a probability of 0, whose logarithm there is none."""


class SpeculativeSettings(PolicySettings):
    """Settings of Speculative RAG; the defaults are the paper's."""

    drafts: int = Field(default=5, ge=1, le=50)
    """Subsets of pages, and so drafts, at most."""
    pages: int = Field(default=2, ge=1, le=20)
    """Pages of a subset, and so clusters, at most."""
    draft_tokens: int = Field(default=128, ge=1)
    """Tokens of a rationale with its answer, at most."""
    verifier: str = ""
    """The model, by its name at the same server, that scores the drafts; empty: the one that writes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A draft, and what the verifier thinks of it."""

    answer: str
    pages: tuple[Hit, ...]
    score: float
    """``log P(rationale, answer | question) + log P(yes, the rationale supports the answer)``, in nats."""


@dataclass(kw_only=True)
class SpeculativeRag(Prompted):
    """One search, as deep as the budget; then drafts from parts of what it found."""

    settings_type: ClassVar[type[PolicySettings]] = SpeculativeSettings
    settings: SpeculativeSettings
    needs_answer: ClassVar[bool] = True
    _best: Verified | None = None

    @classmethod
    def check(cls, settings: PolicySettings, options: PolicyOptions, episode: EpisodeConfig) -> None:
        """It raises InputError, too, for a server that cannot score a given text."""
        super().check(settings, options, episode)
        if options.dialect != "vllm":
            raise InputError(
                "--policy speculative-rag: scores given texts by vLLM's prompt_logprobs, which --server "
                f"{options.dialect} does not know"
            )

    async def query(self, state: EpisodeState) -> str | None:
        """The question, and on in its ranking."""
        return again(state) if state.turns else state.question.text

    async def answer(self, state: EpisodeState) -> str:
        """The answer of the draft that the verifier believes most."""
        most = max(
            1, len(pages_of(state)) // self.settings.pages
        )  # the drafts together read no more than was found
        subsets = subsets_of(self._clustered(state), min(self.settings.drafts, most))
        if not subsets:
            return await self.read_answer(state, ())
        known = await self._read(_question(state))
        verified = await at_once(self._draft(state, subset, known) for subset in subsets)
        self._best = max(verified, key=lambda draft: draft.score)
        return self._best.answer

    def cited(self, state: EpisodeState) -> str | None:
        """The best page of the subset that the answer was written from."""
        del state
        return self._best.pages[0].page_id if self._best else None

    def _clustered(self, state: EpisodeState) -> list[list[Hit]]:
        pages = pages_of(state)
        groups = clusters([self.retriever.pages.text(page.page_id) for page in pages], self.settings.pages)
        return [[pages[place] for place in group] for group in groups]

    async def _draft(self, state: EpisodeState, pages: tuple[Hit, ...], known: int) -> Verified:
        """A draft from some pages, verified; ``known`` is the number of tokens of the question alone."""
        prompt = (
            f"{with_pages(state, pages)}\nAnswer the question from these pages. Write two lines:\n"
            "Rationale: what the pages say that leads to the answer\nAnswer: the answer in a few words"
        )
        draft = await self.draft(prompt, max_tokens=self.settings.draft_tokens)
        rationale, _, answer = draft.text.partition("Answer:")
        rationale = one_line(rationale.replace("Rationale:", ""))
        answer = one_line(answer) or rationale
        said = f"Rationale: {rationale}\nAnswer: {answer}"
        likely = await self._log_probability(_question(state), said, known)
        supports = await self.probability_of_yes(
            f"{_question(state)}\n{said}\n\nDoes the rationale support the answer? Answer yes or no.",
            **self._verifier(),
        )
        return Verified(answer=answer, pages=pages, score=likely + log(max(supports, _LEAST)))

    async def _log_probability(self, prompt: str, said: str, known: int) -> float:
        """The log-probability that the verifier gives a text as its reply to a prompt of ``known`` tokens."""
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": said}]
        fields = {
            "max_tokens": 1,
            "prompt_logprobs": 0,
            "add_generation_prompt": False,
            "continue_final_message": True,
        }
        completion, _ = await self.complete(messages, fields=fields | self._verifier())
        if completion.prompt_logprobs is None:
            raise InputError(
                f"{self.server.settings.base_url}: tells no prompt_logprobs, which --policy speculative-rag needs; "
                "serve the model with vLLM"
            )
        places = [next(iter(place.values())) for place in completion.prompt_logprobs[known:] if place]
        return sum(min(0.0, token.logprob) for token in places)

    async def _read(self, prompt: str) -> int:
        """How many tokens a prompt has, up to where the reply begins."""
        messages = [{"role": "user", "content": prompt}]
        _, use = await self.complete(messages, fields={"max_tokens": 1} | self._verifier())
        return use.prompt_tokens or 0

    def _verifier(self) -> dict[str, Any]:
        return {"model": self.settings.verifier} if self.settings.verifier else {}


def subsets_of(groups: Sequence[Sequence[Hit]], number: int) -> list[tuple[Hit, ...]]:
    """So many subsets, or fewer where that gives them all, each with one page of every cluster, best pages first.

    The first has the best page of each cluster, the second the next, and so on, each cluster from its beginning again.
    """
    if not groups:
        return []
    subsets = (tuple(group[draft % len(group)] for group in groups) for draft in range(number))
    by_rank = (tuple(sorted(subset, key=lambda page: page.rank)) for subset in subsets)
    return list(dict.fromkeys(by_rank))


def _question(state: EpisodeState) -> str:
    return f"{with_pages(state, ())}Answer with a rationale."
