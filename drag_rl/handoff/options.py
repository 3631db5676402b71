"""What a command says of a searcher and a generator. It imports no client, so that help texts come at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.handoff.choosing import PageBudget
from drag_rl.policies.source import PolicyOptions, PolicySource
from drag_rl.policies.table import policy_source
from drag_rl.protocol import MESSAGE_TIMEOUT_S, MESSAGE_TOKENS

NEEDS_GOLD = ("oracle-", "probe-")
"""How the names of policies begin that read what only questions with known answers have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorOptions:
    """Which generator, and what it is given."""

    url: str
    """Such as ``http://127.0.0.1:8000/v1``."""
    model: str
    """The model's name at that server."""
    budget: PageBudget = field(default_factory=PageBudget)
    pages: Path | None = None
    """The folder of pages, for page images."""
    max_tokens: int = MESSAGE_TOKENS
    """Tokens of the answer, its thought included, at most."""
    timeout_s: float = MESSAGE_TIMEOUT_S
    """Seconds for one attempt at an answer."""
    retries: int = 6
    """Further attempts at an answer."""

    def check(self) -> None:
        """Raise InputError for options that do not fit together."""
        if not self.model:
            raise InputError("--generator needs --generator-model, the model's name at that server")
        if self.budget.shown != "text" and self.pages is None:
            raise InputError(
                f"--generator-shown {self.budget.shown} needs --pages, the folder of pages with the images"
            )

    def settings(self) -> dict[str, Any]:
        """What shapes the answers, as JSON values, for a manifest; the address, which need not stay, is not in it."""
        budget = self.budget
        return {
            "model": self.model,
            "page_tokens": budget.tokens,
            "max_pages": budget.pages,
            "shown": budget.shown,
            "max_pixels": 0 if budget.shown == "text" else budget.max_pixels,
            "max_tokens": self.max_tokens,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What is asked, and how."""

    index: Path
    policy: PolicyOptions
    """The searcher."""
    generator: GeneratorOptions | None = None
    """Who answers; None leaves that to the searcher."""
    episode: EpisodeConfig

    @property
    def names_a_searcher(self) -> bool:
        """Whether it says who searches: a policy, or where the model of the policy named ``model`` is."""
        model = self.policy.model
        return self.policy.name != "model" or bool(model.base_url or model.model_path)

    def source(self) -> PolicySource:
        """The searcher's policy. Raises InputError for options that do not fit together, before anything is opened."""
        if not self.names_a_searcher:
            raise InputError(
                "--searcher is missing: a model's folder, an adapter, an address, or a policy such as raw-question"
            )
        if self.policy.name.startswith(NEEDS_GOLD):
            raise InputError(
                f"{self.policy.name}: reads a question's gold pages, which a question that is asked does not have; "
                "give another searcher"
            )
        if self.generator is not None:
            self.generator.check()
        source = policy_source(self.policy)
        source.check(self.episode, 1)
        return source
