"""Prompted policies, played over HTTP against a scripted model, as ``drag evaluate`` plays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from math import log
from pathlib import Path
from typing import Any

from fake_openai import FakeServer, Said, Token
from trajectory_lab import QUESTIONS, shared_index

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.play import play
from drag_rl.policies.source import Policies, PolicyOptions, PolicySource
from drag_rl.policies.table import policy_source
from drag_rl.retrieval.blocking import blocking
from drag_rl.serving.served_model import ModelChoice
from drag_rl.types import Question, Search, Trajectory

QUESTION = QUESTIONS[0]
CONFIG = EpisodeConfig(max_turns=4, repeat_pages=False)
Word = tuple[str, float]
"""A word and its probability."""


def options_of(name: str, server: FakeServer, **settings: Any) -> PolicyOptions:
    """What a command line says of a policy at a scripted server."""
    return PolicyOptions(
        name=name,
        model=ModelChoice(model="m", base_url=server.url),
        sampling="greedy",
        retries=0,
        settings=settings,
    )


class Scripted(FakeServer):
    """A scripted model and the policies that ask it; connections stay open from test to test."""

    def __init__(self) -> None:
        super().__init__(lambda _: "")
        self._stack = ExitStack()
        self._opened: dict[str, tuple[PolicySource, Policies]] = {}

    def stop(self) -> None:
        for _, policies in self._opened.values():
            blocking(policies.close())
        self._stack.close()
        super().stop()

    def play(
        self,
        name: str,
        config: EpisodeConfig = CONFIG,
        question: Question = QUESTION,
        retriever: Any = None,
        **settings: Any,
    ) -> Trajectory:
        """One episode, from the table of policies to a trajectory."""
        retriever = retriever or shared_index().retriever
        key = repr((name, id(retriever), sorted(settings.items())))
        if key not in self._opened:
            source = policy_source(options_of(name, self, **settings))
            opened = self._stack.enter_context(source.open(retriever, Path("unused.log")))
            self._opened[key] = source, opened
        source, policies = self._opened[key]
        source.check(config, 1)
        policy = policies.new(question, 0)
        outcome, generations = blocking(play(question, policy, retriever, source.episode(config)))
        return Trajectory(outcome=outcome, generations=generations, model=source.model)


def queries(trajectory: Trajectory) -> list[str]:
    """What the policy searched itself, without what only reads on."""
    return [
        turn.action.query
        for turn, generation in zip(trajectory.outcome.turns, trajectory.generations, strict=True)
        if isinstance(turn.action, Search) and not generation.read_on
    ]


def in_turn(replies: Iterable[str | Said]) -> Callable[[dict[str, Any]], str | Said]:
    """A model that says these, one a request, and then nothing."""
    left = iter(replies)
    return lambda _: next(left, "")


def sentence(words: Iterable[Word]) -> str:
    """The words as a sentence."""
    return " ".join(word for word, _ in words)


def said(sentences: Iterable[Iterable[Word]], finish_reason: str = "stop") -> Said:
    """A message of sentences whose words have these probabilities; the rest of each goes to one other token.

    Tokens begin with the space before them, as those of language models do.
    """
    tokens = []
    for number, (word, probability) in enumerate(word for each in sentences for word in each):
        text = word if number == 0 else f" {word}"
        likely = {text: log(probability)} | ({"~": log(1 - probability)} if probability < 1 else {})
        tokens.append(Token(text=text, log_prob=log(probability), likely=likely))
    return Said(
        text="".join(token.text for token in tokens), tokens=tuple(tokens), finish_reason=finish_reason
    )


def yes(probability: float) -> Said:
    """A reply of one token: "Yes" with this share of the probability of both answers, which is 0.8."""
    likely = {"Yes": log(max(0.8 * probability, 1e-9)), " no": log(max(0.8 * (1 - probability), 1e-9))}
    return Said(text="Yes", tokens=(Token(text="Yes", log_prob=likely["Yes"], likely=likely),))


def asks_yes_or_no(request: dict[str, Any]) -> bool:
    """Whether a request wants a judgement."""
    return request["max_tokens"] == 1 and "top_logprobs" in request


def prompt_of(request: dict[str, Any]) -> str:
    """What was asked."""
    content: str = request["messages"][0]["content"]
    return content
