"""Where the policies of a run come from: what a command asks of any of them, whether a server is behind it or not.

Every entry of the table of policies (:mod:`drag_rl.policies.table`) has a ``source``. Its classes come from
:class:`drag_rl.policies.local.LocalPolicy` or :class:`drag_rl.policies.server.policy.ServerPolicy`, which have one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from drag_rl.episode import EpisodeConfig
from drag_rl.policies.base import Policy
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.tuned import own_settings
from drag_rl.protocol import MAX_PIXELS, MESSAGE_TIMEOUT_S, MESSAGE_TOKENS
from drag_rl.retrieval.base import Retriever
from drag_rl.serving.served_model import ModelChoice
from drag_rl.types import Question

Dialect = Literal["vllm", "openai"]
"""What a server understands: vLLM's further fields (raw text, repetition penalty), or OpenAI's own fields alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """What a command line says of a policy. A policy reads what concerns it; a baseline nothing but its name."""

    name: str = "model"
    """A name of the table."""
    model: ModelChoice = field(default_factory=ModelChoice)
    dialect: Dialect = "vllm"
    sampling: str = "default"
    """A name of the table of samplings."""
    seed: int = 0
    """Another seed gives other samples."""
    max_tokens: int = MESSAGE_TOKENS
    """Tokens of one message, at most."""
    pages: Path | None = None
    """The folder of pages, for page images."""
    max_pixels: int = MAX_PIXELS
    """Pixels of a page image, at most."""
    timeout_s: float = MESSAGE_TIMEOUT_S
    """Seconds for one attempt at a message."""
    retries: int = 6
    """Further attempts at a message."""
    consensus: int = 1
    """So many draws of each message search together; 1 draws once."""
    timed: bool = False
    """Whether replies are streamed, so that they tell when their first token came; what they say is the same."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the policy's own, by name; see :mod:`drag_rl.policies.settings`."""


class Policies(ABC):
    """An opened source: it makes a policy for every episode of a run."""

    @abstractmethod
    def new(self, question: Question, sample: int) -> Policy:
        """The policy of one episode; ``sample`` is its 0-based number among those of the question."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections, in the event loop in which the episodes were played."""


class PolicySource(ABC):
    """One policy of the table with its options: what a run must know of it before it is played."""

    startup: str = ""
    """What opening it spends minutes on, in words for a progress bar; empty when it opens at once."""
    sampling: str = ""
    """The name of the sampling in its rows; empty when it draws nothing."""

    def __init__(self, options: PolicyOptions, settings_type: type[PolicySettings] = PolicySettings) -> None:
        """Raises InputError for settings that the policy does not have, or that are out of their range."""
        self.options = options
        said = own_settings(options.settings, options.name)
        self.policy_settings = settings_type.from_mapping(said, f"--policy {options.name}")

    @property
    def model(self) -> str:
        """What its rows call it."""
        return self.options.name

    @property
    def repeats(self) -> str:
        """Why all of its draws are the same, in words for an error; empty for one that samples."""
        return ""

    def check(self, episode: EpisodeConfig, samples: int) -> None:
        """Raise InputError for options that do not fit together; ``samples`` are the episodes of each question."""
        del episode, samples

    def episode(self, config: EpisodeConfig) -> EpisodeConfig:
        """The configuration that it plays under, which is the given one unless the policy is made for another."""
        return config

    def inputs(self, episode: EpisodeConfig) -> dict[str, str]:
        """Name -> fingerprint of what it is made from, for a manifest."""
        del episode
        return {}

    def settings(self) -> dict[str, Any]:
        """The options that shape its messages, as JSON values, for a manifest."""
        own = self.policy_settings.model_dump(mode="json")
        return {"policy_settings": own} if own else {}

    @abstractmethod
    def open(self, retriever: Retriever, log: Path) -> AbstractContextManager[Policies]:
        """Open it for episodes that search ``retriever``; a server that it starts logs to ``log`` and ends with it."""


class PolicyPart(Protocol):
    """An entry of the table of policies."""

    def source(self, options: PolicyOptions) -> PolicySource:
        """The policy with these options."""
