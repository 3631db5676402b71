"""The seam of policies: who writes the assistant's messages of an episode.

A policy is an object with one method; this one searches the question's own words, and answers with what it saw::

    class AskOnce:
        async def reply(self, state: EpisodeState) -> Reply:
            if not state.turns:
                return Reply(text=f"<search>{state.question.text}</search>")
            seen = [hit.page_id for hit in state.turns[-1].hits]
            return Reply(text=f"<answer>See [{seen[0]}].</answer>" if seen else "<answer>Nothing found.</answer>")

``drag_rl.policies.play`` plays any policy; ``drag_rl.policies.table`` names those that commands know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

from drag_rl.episode import EpisodeConfig, FinishReason, Message, SearchEpisode
from drag_rl.errors import InputError
from drag_rl.types import Question, Turn
from drag_rl.types.trajectory import ModelUse


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeState:
    """What a policy may know when it writes a message."""

    question: Question
    """The user's question. Its gold pages and answers are there for oracles; an honest policy does not read them."""
    config: EpisodeConfig
    """What the episode allows."""
    messages: Sequence[Message]
    """The conversation so far: system prompt, examples, question, then replies and observations in turn."""
    tools: Sequence[Message] | None
    """The OpenAI function schemas of native tool calls; None when actions are tags."""
    stop: Sequence[str]
    """Strings at which generation should stop."""
    turns: tuple[Turn, ...]
    """The turns so far: each message with its action, the hits that it found, and what was shown of them."""
    turns_left: int
    """How many messages the policy may still write, this one included."""

    @classmethod
    def of(cls, episode: SearchEpisode) -> Self:
        """The state of an episode that waits for a message."""
        return cls(
            question=episode.question,
            config=episode.config,
            messages=tuple(episode.messages),
            tools=episode.tools,
            stop=episode.config.stop_strings,
            turns=episode.turns,
            turns_left=episode.config.max_turns - len(episode.turns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageTiming:
    """Where the time of one message of a model at a server went, in seconds of wall time."""

    encoding_s: float = 0.0
    """Putting the conversation into a request: page images are rendered and packed here."""
    waiting_s: float
    """Until the server takes the request up: the way there, and attempts that failed."""
    first_token_s: float
    """From there to the first token: its queue, and reading the prompt."""
    decoding_s: float
    """From the first token to the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One assistant message."""

    text: str
    """Verbatim, as the model's chat template would have it: thoughts and tool calls included."""
    finish_reason: FinishReason = "stop"
    """``length`` when a token limit cut the message."""
    prompt_tokens: int | None = None
    """Tokens that the policy read; None when it does not tell."""
    completion_tokens: int | None = None
    """Tokens that the policy wrote; None when it does not tell."""
    log_probs: tuple[float, ...] | None = None
    """The log-probability of each token that the policy wrote, in order; None when it does not tell."""
    uses: tuple[ModelUse, ...] = ()
    """What was asked of each model for this message, drafts that were thrown away included."""
    read_on: bool = False
    """Whether the policy had stopped before, and only reads on in a ranking, to the whole budget of searches."""
    signal: float | None = None
    """What the policy compared with its threshold to decide whether it stops; None where it decided nothing."""
    timing: MessageTiming | None = None
    """Where the time went; None where it is not told, or where the message is made of several."""


class ContextFull(Exception):  # noqa: N818 (a state of the episode, not a fault)
    """The conversation no longer fits the policy's context window."""


class PolicyFailed(Exception):  # noqa: N818 (the base of what servers do)
    """This episode cannot go on for its policy's sake; others may."""


class ServerDown(InputError):  # noqa: N818 (what happened, not whose fault)
    """A model's server cannot be reached, or refuses every request; going on makes no sense."""


class Policy(Protocol):
    """Whoever writes the assistant's messages of one episode."""

    async def reply(self, state: EpisodeState) -> Reply:
        """The next message.

        Raises ContextFull when the conversation is too long, PolicyFailed when this episode cannot go on; other errors
        end the whole run.
        """


class Hinted:
    """A policy that is told something at the end of its system prompt; neither the episode nor its trace holds it."""

    def __init__(self, policy: Policy, hint: str) -> None:
        self._policy = policy
        self._hint = hint

    async def reply(self, state: EpisodeState) -> Reply:
        """The policy's message, had the system prompt said the hint."""
        system, *rest = state.messages  # examples and question stay as they are
        told = {**system, "content": f"{system['content']}\n\n{self._hint}"}
        return await self._policy.reply(replace(state, messages=(told, *rest)))
