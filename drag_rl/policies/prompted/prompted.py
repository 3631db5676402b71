"""What prompted policies have in common: they search and answer within a model's budget, and count what they ask for.

A method says what it searches next (:meth:`Prompted.query`) and what it answers (:meth:`Prompted.answer`), and asks the
model as often as it likes. What is the same for all, and ours: prompts without worked examples; the model reads of a
page what the episode shows of it; ``top_k`` pages a search, and as many searches as the episode allows. A method that
stops early reads on in the ranking of its last query, where a search shows new pages only (``repeat_pages=false``), as
the other baselines do; its answer is the one that it had when it stopped, and the messages say that they read on.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Any, ClassVar

from drag_rl.citations import citations_in
from drag_rl.episode import EpisodeConfig, Message, neutralise
from drag_rl.episode.observation import shown_as
from drag_rl.episode.prompt import action_text
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState, Reply
from drag_rl.policies.baselines.baseline import again, enough, pages_shown, shortened
from drag_rl.policies.prompted.at_once import at_once
from drag_rl.policies.prompted.draft import Draft
from drag_rl.policies.prompted.reading import as_query, one_line, pages_of, with_pages
from drag_rl.policies.server.completion import Completion
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import PolicyOptions
from drag_rl.types import Hit
from drag_rl.types.trajectory import ModelUse, added_up

ANSWER_CHARS = 2000
"""Characters of an answer, at most."""
ANSWER_TOKENS = 64
"""Tokens of an answer that is read from pages, at most."""
TOP = 20
"""Likeliest tokens that are asked for: the most that OpenAI's API gives, and that vLLM gives unless told otherwise."""


@dataclass(kw_only=True)
class Prompted(ServerPolicy):
    """One episode of a method that needs no training; a subclass is the method."""

    needs_answer: ClassVar[bool] = False
    """Whether all that it does serves an answer, so that it is nothing where none is asked for."""
    signal: float | None = field(default=None, init=False)
    """What :meth:`query` compared with its threshold, if it did."""
    _stopped: bool = field(default=False, init=False)
    _answer: str | None = field(default=None, init=False)
    _uses: list[ModelUse] = field(default_factory=list, init=False)

    @abstractmethod
    async def query(self, state: EpisodeState) -> str | None:
        """What to search next; None when it stops. It is asked while there are searches left."""

    async def answer(self, state: EpisodeState) -> str:
        """The answer; unless a subclass says another, the model reads it from all pages that were found."""
        return await self.read_answer(state, pages_of(state))

    def cited(self, state: EpisodeState) -> str | None:
        """The page that an answer without citations rests on: the best hit of the last search."""
        hits = state.turns[-1].hits if state.turns else ()
        return hits[0].page_id if hits else None

    @classmethod
    def episode(cls, config: EpisodeConfig) -> EpisodeConfig:
        """A method's query is its own, whatever its length: the episode adds nothing to it."""
        return config.model_copy(
            update={"max_query_chars": 0, "expand_question": False, "queries_per_turn": 1}
        )

    @classmethod
    def check(cls, settings: PolicySettings, options: PolicyOptions, episode: EpisodeConfig) -> None:
        """Raise InputError where pages are shown as images, and where no answer is asked of what only answers."""
        del settings
        if episode.observation != "text":
            raise InputError(
                f"--policy {options.name}: reads text: leave --episode observation at text, which is "
                f"{episode.observation}"
            )
        if cls.needs_answer and not episode.answer_asked:
            raise InputError(
                f"--policy {options.name}: is about the answer; with answer=false use --policy raw-question"
            )

    async def reply(self, state: EpisodeState) -> Reply:
        """A search while the method has one and the budget lasts, then reading on, then the answer."""
        self.signal = None
        query = await self._next_query(state)
        if query is not None:
            text = action_text("", "search", query, state.config)
        elif state.config.enough and not state.config.answer_asked:
            text = enough(state, pages_shown(state))
        else:
            if self._answer is None:
                self._answer = await self._answered(state)
            text = action_text("", "answer", self._answer, state.config)
        uses, self._uses = added_up(self._uses), []
        return Reply(
            text=text,
            prompt_tokens=_total([use.prompt_tokens for use in uses]),
            completion_tokens=_total([use.completion_tokens for use in uses]),
            uses=uses,
            read_on=self._stopped and query is not None,
            signal=self.signal,
        )

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Message] | None = None,
        stop: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> tuple[Completion, ModelUse]:
        """As that of every policy behind a server; what it took is counted."""
        completion, use = await super().complete(messages, tools=tools, stop=stop, fields=fields)
        self._uses.append(use)
        return completion, use

    async def draft(
        self,
        prompt: str,
        *,
        max_tokens: int | None = None,
        top: int | None = None,
        **fields: Any,
    ) -> Draft:
        """What the model writes to a prompt, with at most so many tokens.

        ``top`` asks for log-probabilities, and for so many of the likeliest tokens of each place; ``fields`` are
        further ones of the request. Raises InputError for a server that tells no log-probabilities, and as
        ``ModelServer.complete`` does.
        """
        if max_tokens is not None:
            fields["max_tokens"] = min(max_tokens, self.max_tokens)
        if top is not None:
            fields |= {"logprobs": True, "top_logprobs": top}
        completion, _ = await self.complete([{"role": "user", "content": prompt}], fields=fields)
        choice = completion.choices[0]
        told = choice.logprobs and choice.logprobs.content
        if top is not None and not told and (choice.message.content or "").strip():
            raise self._tells_nothing()
        return Draft.of(choice)

    async def drafts(self, prompt: str, number: int, **options: Any) -> list[str]:
        """So many texts for one prompt, drawn at once with seeds of their own; those that are empty are left out."""
        written = await at_once(self.draft(prompt, **options) for _ in range(number))
        return [text for draft in written if (text := one_line(draft.text))]

    async def probability_of_yes(self, prompt: str, **fields: Any) -> float:
        """``P(yes) / (P(yes) + P(no))`` of the first token, in either case; a half where neither is a likely one."""
        fields |= {"logprobs": True, "top_logprobs": TOP, "max_tokens": 1}
        completion, _ = await self.complete([{"role": "user", "content": prompt}], fields=fields)
        told = completion.choices[0].logprobs
        if told is None or told.content is None:
            raise self._tells_nothing()
        mass = {"yes": 0.0, "no": 0.0}
        for likely in told.content[0].top_logprobs if told.content else ():
            word = likely.token.strip().casefold()
            if word in mass:
                mass[word] += exp(min(0.0, likely.logprob))
        both = mass["yes"] + mass["no"]
        return mass["yes"] / both if both else 0.5

    async def read_answer(self, state: EpisodeState, pages: Sequence[Hit]) -> str:
        """What the model answers when it reads pages once."""
        prompt = f"{with_pages(state, pages)}\nAnswer the question from these pages, in a few words."
        return (await self.draft(prompt, max_tokens=ANSWER_TOKENS)).text

    def _tells_nothing(self) -> InputError:
        return InputError(
            f"{self.server.settings.base_url}: tells no log-probabilities, which this policy needs; use a server that "
            "does, such as vLLM"
        )

    async def _next_query(self, state: EpisodeState) -> str | None:
        if len(state.turns) >= state.config.search_turns:
            return None
        if not self._stopped:
            query = await self.query(state)
            if query is not None:
                return as_query(query, state.config)
            self._stopped = True
            self._answer = await self._answered(state)
        if state.turns or state.config.repeat_pages:
            return again(state) if state.turns else None
        return as_query(state.question.text, state.config)

    async def _answered(self, state: EpisodeState) -> str:
        """The answer as the episode takes it: tags inert, with a citation."""
        said = await self.answer(state) if state.config.answer_asked else ""
        text = shortened(neutralise(one_line(said)), ANSWER_CHARS)
        shown = {shown_as(hit.page_id): hit.page_id for hit in pages_of(state)}
        cited = self.cited(state)
        if cited is None or set(citations_in(text, shown)) & set(shown.values()):
            return text or "No page found."
        return f"{text} [{neutralise(cited)}]".strip()


def _total(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
