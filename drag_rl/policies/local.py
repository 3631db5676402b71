"""Policies that live in this process: they need a retriever at most, and do the same every time.

A new one is a class with ``reply``, and a line in the table::

    class AskOnce(LocalPolicy):
        async def reply(self, state: EpisodeState) -> Reply:
            return Reply(text=action_text("", "search", state.question.text, state.config))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.base import EpisodeState, Reply
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import Policies, PolicyOptions, PolicySource
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Question


class LocalPolicy(ABC):
    """One episode of a policy that asks no server."""

    settings_type: ClassVar[type[PolicySettings]] = PolicySettings
    """The class of its settings; see :mod:`drag_rl.policies.settings`."""
    settings: PolicySettings

    def __init__(self, retriever: Retriever, settings: PolicySettings | None = None) -> None:
        """``retriever`` is the one that its episode searches; without ``settings`` it has their defaults."""
        self.retriever = retriever
        self.settings = settings or self.settings_type()

    @abstractmethod
    async def reply(self, state: EpisodeState) -> Reply:
        """See :class:`drag_rl.policies.base.Policy`."""

    @classmethod
    def episode(cls, config: EpisodeConfig) -> EpisodeConfig:
        """The configuration that it plays under, where that is not any."""
        return config

    @classmethod
    def source(cls, options: PolicyOptions) -> PolicySource:
        """See :class:`drag_rl.policies.source.PolicyPart`."""
        return LocalSource(options, cls)


class LocalSource(PolicySource):
    """A local policy with its options."""

    def __init__(self, options: PolicyOptions, policy: type[LocalPolicy]) -> None:
        super().__init__(options, policy.settings_type)
        self._policy = policy

    @property
    def repeats(self) -> str:
        """A local policy draws nothing."""
        return f"--policy {self.options.name} does the same every time"

    def check(self, episode: EpisodeConfig, samples: int) -> None:
        """Raise InputError where more than one episode of a question is asked for."""
        del episode
        if samples > 1:
            raise InputError(f"--samples {samples}: {self.repeats}")

    def episode(self, config: EpisodeConfig) -> EpisodeConfig:
        """The configuration that it plays under."""
        return self._policy.episode(config)

    @contextmanager
    def open(self, retriever: Retriever, log: Path) -> Iterator[Policies]:
        """Open it at once."""
        del log
        yield _LocalPolicies(retriever, self._policy, self.policy_settings)


class _LocalPolicies(Policies):
    def __init__(self, retriever: Retriever, policy: type[LocalPolicy], settings: PolicySettings) -> None:
        self._retriever = retriever
        self._policy = policy
        self._settings = settings

    def new(self, question: Question, sample: int) -> LocalPolicy:
        del question, sample
        return self._policy(self._retriever, self._settings)

    async def close(self) -> None:
        """Nothing was opened."""
