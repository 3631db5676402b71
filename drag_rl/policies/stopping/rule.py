"""What rules that stop a search have in common.

A rule says after each search how sure it is that the pages shown are enough (:meth:`StopRule.confidence`). As soon as
that is greater than the threshold it ends the episode; else the policy that it wraps writes the next message. The
rule never changes what is searched, so one run at the upper bound, where it never stops, tells for any threshold
what it would have done: each message holds its confidence (``Reply.signal``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar

from pydantic import Field

from drag_rl.episode import neutralise
from drag_rl.episode.prompt import action_text
from drag_rl.policies.base import EpisodeState, Policy, Reply
from drag_rl.policies.baselines.baseline import enough, pages_shown
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import PolicyOptions, PolicySource
from drag_rl.policies.stopping.source import StoppingSource
from drag_rl.retrieval.base import Retriever
from drag_rl.types.trajectory import ModelUse, added_up, plus


class StopSettings(PolicySettings):
    """What every rule can be told."""

    tunable: ClassVar[str] = "threshold"
    stops_only: ClassVar[bool] = True

    threshold: float = Field(default=0.5, ge=0, le=1)
    """The episode ends before the first message with a confidence that is greater than this; 1 never ends it."""
    searches: str = "raw-question"
    """Who searches: the name of a policy, such as ``raw-question``, ``feedback`` or ``model``."""


class StopRule(ABC):
    """One episode of a policy that a rule stops; a subclass is the rule."""

    settings_type: ClassVar[type[StopSettings]] = StopSettings
    asks_model: ClassVar[bool] = False
    """Whether the rule asks a model, which then needs a server, whoever searches."""

    def __init__(
        self,
        searcher: Policy,
        retriever: Retriever,
        settings: StopSettings | None = None,
        model: ServerPolicy | None = None,
    ) -> None:
        """``searcher`` writes the messages until the rule stops it; ``model`` is there where the rule asks one."""
        self.searcher = searcher
        self.retriever = retriever
        self.settings = settings or self.settings_type()
        self.model = model
        self.uses: list[ModelUse] = []
        """What was asked of the model since the last message."""

    @classmethod
    def source(cls, options: PolicyOptions) -> PolicySource:
        """See :class:`drag_rl.policies.source.PolicyPart`."""
        return StoppingSource(options, cls)

    @abstractmethod
    async def confidence(self, state: EpisodeState) -> float:
        """How sure the rule is that the pages shown so far are enough, in [0, 1]; asked once after each search."""

    def stops(self, confidence: float) -> bool:
        """Whether so much confidence ends the episode."""
        return confidence > self.settings.threshold

    def kept(self, state: EpisodeState) -> tuple[str, ...]:
        """The pages that it names when it has enough: all that were shown, unless the rule knows better."""
        return pages_shown(state)

    def answer(self, state: EpisodeState) -> str:
        """What it answers where it cannot say that it has enough: the citation of the last search's best page."""
        hits = state.turns[-1].hits
        return f"[{neutralise(hits[0].page_id)}]" if hits else "No page found."

    async def reply(self, state: EpisodeState) -> Reply:
        """The end where the rule is sure enough, else the searcher's message; in both the rule's confidence."""
        searched = any(turn.hits for turn in state.turns)
        if not searched or len(state.turns) >= state.config.search_turns:
            return await self.searcher.reply(state)
        confidence, own = await self.confidence(state), None
        if self.stops(confidence):
            if state.config.enough:
                own = Reply(text=enough(state, self.kept(state)))
            else:
                own = Reply(text=action_text("", "answer", self.answer(state), state.config))
        reply = own or await self.searcher.reply(state)
        uses, self.uses = added_up([*self.uses, *reply.uses]), []
        read, written = _tokens(reply, uses)
        return replace(reply, signal=confidence, uses=uses, prompt_tokens=read, completion_tokens=written)


def _tokens(reply: Reply, uses: tuple[ModelUse, ...]) -> tuple[int | None, int | None]:
    """What was read and written for a message in all; as the searcher tells it where no model was asked."""
    if not uses:
        return reply.prompt_tokens, reply.completion_tokens
    read, written = uses[0].prompt_tokens, uses[0].completion_tokens
    for use in uses[1:]:
        read, written = plus(read, use.prompt_tokens), plus(written, use.completion_tokens)
    return read, written
