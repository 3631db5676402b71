"""A model behind an OpenAI-compatible server, as the policy of an episode."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from drag_rl.episode import FinishReason, Message
from drag_rl.errors import InputError
from drag_rl.trajectories.driver import ContextFull, Reply
from drag_rl.trajectories.model_server import Dialect, ModelServer, RequestFailed
from drag_rl.trajectories.reply_text import assistant_text
from drag_rl.trajectories.sampling import Sampling, message_seed
from drag_rl.trajectories.wire import Wire

_FINISHED: dict[str | None, FinishReason] = {
    None: "stop",
    "stop": "stop",
    "tool_calls": "stop",
    "function_call": "stop",
    "length": "length",
}


@dataclass(slots=True, kw_only=True)
class ServerPolicy:
    """The messages of one episode, each sampled with a seed of its own."""

    server: ModelServer
    wire: Wire
    sampling: Sampling
    max_tokens: int
    """Of one message."""
    seed: int
    question_id: str
    sample: int
    hint: str = ""
    """Shown below the system prompt and nowhere else: neither the episode nor its trace holds it."""
    _turn: int = 0

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[Message] | None, stop: Sequence[str]
    ) -> Reply:
        """The next message; see ``ModelServer.complete`` for what it raises."""
        self._turn += 1
        hinted = _with_hint(messages, self.hint) if self.hint else messages
        try:
            sent = await asyncio.to_thread(self.wire.messages, hinted)
            completion = await self.server.complete(self._request(sent, tools, stop))
        except ContextFull as error:
            if self._turn == 1:
                raise RequestFailed(f"the opening does not fit the model's context: {error}") from error
            raise
        choice = completion.choices[0]
        if choice.finish_reason not in _FINISHED:
            raise RequestFailed(f"the server ended the message for the reason {choice.finish_reason!r}")
        usage = completion.usage
        return Reply(
            text=assistant_text(choice, stop),
            finish_reason=_FINISHED[choice.finish_reason],
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
        )

    def _request(
        self, messages: list[Message], tools: Sequence[Message] | None, stop: Sequence[str]
    ) -> dict[str, Any]:
        request: dict[str, Any] = {
            "messages": messages,
            "temperature": self.sampling.temperature,
            "top_p": self.sampling.top_p,
            "max_tokens": self.max_tokens,
            "seed": message_seed(self.seed, self.question_id, self.sample, self._turn),
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


def check_sampling(name: str, sampling: Sampling, dialect: Dialect, samples: int) -> None:
    """Raise InputError for a sampling that the server cannot do, or that gives the same sample again and again."""
    if dialect == "openai" and sampling.repetition_penalty != 1.0:
        raise InputError(f"--sampling {name}: has a repetition penalty, which --server openai does not know")
    if sampling.temperature == 0 and samples > 1:
        raise InputError(f"--samples {samples}: with --sampling {name} all of them are the same; use 1")


def sampling_facts(name: str, sampling: Sampling) -> dict[str, Any]:
    """The sampling as JSON values, for a manifest."""
    return {"name": name, **asdict(sampling)}


def _with_hint(messages: Sequence[Message], hint: str) -> list[Message]:
    """The messages with the hint at the end of the system prompt, so that examples and question stay as they are."""
    system = messages[0]
    return [{**system, "content": f"{system['content']}\n\n{hint}"}, *messages[1:]]
