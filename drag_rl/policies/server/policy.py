"""A model behind an OpenAI-compatible server, as the policy of an episode.

A policy that prompts a model in its own way is a class that asks differently, and a line in the table::

    class Rewriter(ServerPolicy):
        async def reply(self, state: EpisodeState) -> Reply:
            said = await self.ask([{"role": "user", "content": f"Keywords for: {state.question.text}"}])
            return replace(said, text=action_text("", "search", said.text, state.config))
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from drag_rl.episode import EpisodeConfig, FinishReason, Message
from drag_rl.policies.base import ContextFull, EpisodeState, Reply
from drag_rl.policies.server.completion import Choice, Completion
from drag_rl.policies.server.message_encoding import MessageEncoding
from drag_rl.policies.server.model_server import ModelServer, RequestFailed
from drag_rl.policies.server.reply_text import assistant_text
from drag_rl.policies.server.sampling import Sampling, message_seed
from drag_rl.policies.server.source import ServerSource
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import PolicyOptions, PolicySource
from drag_rl.retrieval.base import Retriever
from drag_rl.types.trajectory import ModelUse

_FINISHED: dict[str | None, FinishReason] = {
    None: "stop",
    "stop": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
}


@dataclass(slots=True, kw_only=True)
class ServerPolicy:
    """One episode; every message is sampled with a seed of its own."""

    server: ModelServer
    encoding: MessageEncoding
    sampling: Sampling
    retriever: Retriever
    """The one that its episode searches."""
    max_tokens: int
    """Of one message."""
    seed: int
    question_id: str
    sample: int
    settings: PolicySettings = field(default_factory=PolicySettings)
    _asked: int = 0

    settings_type: ClassVar[type[PolicySettings]] = PolicySettings
    """The class of its settings; see :mod:`drag_rl.policies.settings`."""

    @classmethod
    def source(cls, options: PolicyOptions) -> PolicySource:
        """See :class:`drag_rl.policies.source.PolicyPart`."""
        return ServerSource(options, cls)

    @classmethod
    def episode(cls, config: EpisodeConfig) -> EpisodeConfig:
        """The configuration that it plays under, where that is not any."""
        return config

    @classmethod
    def check(cls, settings: PolicySettings, options: PolicyOptions, episode: EpisodeConfig) -> None:
        """Raise InputError where it cannot play under these settings, options and this episode."""

    async def reply(self, state: EpisodeState) -> Reply:
        """What the model says to the conversation; see ``ModelServer.complete`` for what is raised."""
        return await self.ask(state.messages, tools=state.tools, stop=state.stop)

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Message] | None = None,
        stop: Sequence[str] = (),
        log_probs: bool = False,
    ) -> Reply:
        """What the model says to some messages, with the log-probabilities of its tokens if ``log_probs``.

        See ``ModelServer.complete`` for what it raises.
        """
        fields = {"logprobs": True} if log_probs else {}
        completion, use = await self.complete(messages, tools=tools, stop=stop, fields=fields)
        choice = completion.choices[0]
        return Reply(
            text=assistant_text(choice, stop),
            finish_reason=_FINISHED[choice.finish_reason],
            prompt_tokens=use.prompt_tokens,
            completion_tokens=use.completion_tokens,
            log_probs=_log_probs(choice),
            uses=(use,),
            timing=completion.timing,
        )

    async def complete(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Message] | None = None,
        stop: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> tuple[Completion, ModelUse]:
        """The server's completion of some messages, and what it took; ``fields`` are the request's where it differs.

        See ``ModelServer.complete`` for what it raises.
        """
        self._asked += 1
        request_number, started = self._asked, time.perf_counter()
        try:
            sent = await asyncio.to_thread(self.encoding.messages, messages)
            encoded = time.perf_counter()
            completion = await self.server.complete(
                self._request(sent, tools, stop, request_number) | dict(fields or {})
            )
        except ContextFull as error:
            if request_number == 1:
                raise RequestFailed(f"the opening does not fit the model's context: {error}") from error
            raise
        ended, usage = completion.choices[0].finish_reason, completion.usage
        if ended not in _FINISHED:
            raise RequestFailed(f"the server ended the message for the reason {ended!r}")
        use = ModelUse(
            model=str((fields or {}).get("model", self.server.settings.model)),
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
            seconds=time.perf_counter() - started,
        )
        if completion.timing:
            completion.timed(replace(completion.timing, encoding_s=encoded - started))
        return completion, use

    def _request(
        self,
        messages: list[Message],
        tools: Sequence[Message] | None,
        stop: Sequence[str],
        request_number: int,
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "messages": messages,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": self.max_tokens,
            "seed": message_seed(self.seed, self.question_id, self.sample, request_number),
        }
        if stop:
            request["stop"] = list(stop)
        if tools:
            request["tools"] = list(tools)
        if self.server.settings.dialect == "vllm":
            # Every knob is said, so that no default of the model's folder acts; the text comes as the model wrote it,
            # special tokens included (an episode refuses them) and tool calls not taken out.
            request |= {
                "top_k": -1,
                "min_p": 0.0,
                "repetition_penalty": self.sampling.repetition_penalty,
                "skip_special_tokens": False,
            }
            if tools:
                request["tool_choice"] = "none"
        return request


def _log_probs(choice: Choice) -> tuple[float, ...] | None:
    if choice.logprobs is None or choice.logprobs.content is None:
        return None
    return tuple(token.logprob for token in choice.logprobs.content)
