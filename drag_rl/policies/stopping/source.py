"""Where a policy that stops by a rule comes from: the policy that searches, the rule, and the model that it may ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.policies.server.policy import ServerPolicy
from drag_rl.policies.source import Policies, PolicyOptions, PolicySource
from drag_rl.policies.table import POLICIES
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Question

if TYPE_CHECKING:
    from drag_rl.policies.stopping.rule import StopRule, StopSettings


class StoppingSource(PolicySource):
    """A rule with its options, around a policy that searches."""

    def __init__(self, options: PolicyOptions, rule: type[StopRule]) -> None:
        """Raises InputError for settings that are wrong, and for a searching policy that stops by a rule itself."""
        super().__init__(options, rule.settings_type)
        self._rule = rule
        self._settings = cast("StopSettings", self.policy_settings)
        name = self._settings.searches
        inner = replace(options, name=name, settings={}, consensus=1)
        self._searcher = POLICIES.find(name, f"--policy {options.name}: searches").source(inner)
        if isinstance(self._searcher, StoppingSource):
            raise InputError(
                f"--policy {options.name}: searches={name}: stops by a rule itself; name one that does not"
            )
        self._model: PolicySource | None = None
        if rule.asks_model:
            asked = replace(options, name="model", settings={}, consensus=1)
            self._model = self._searcher if name == "model" else ServerPolicy.source(asked)
        self.startup = next((part.startup for part in self._parts if part.startup), "")
        self.sampling = next((part.sampling for part in self._parts if part.sampling), "")

    @property
    def _parts(self) -> tuple[PolicySource, ...]:
        """The policies behind it, each once."""
        return tuple(dict.fromkeys(part for part in (self._searcher, self._model) if part is not None))

    @property
    def model(self) -> str:
        """What its rows call it: the rule and who searches."""
        return f"{self.options.name} of {self._searcher.model}"

    @property
    def repeats(self) -> str:
        """As those that it asks: a rule draws nothing itself."""
        return next((part.repeats for part in reversed(self._parts)), "")

    def check(self, episode: EpisodeConfig, samples: int) -> None:
        """Raise InputError where there is no way to stop, and for what one of its parts refuses."""
        if episode.search_only:
            raise InputError(
                f"--policy {self.options.name}: stops by a message, which this episode does not have: set "
                "--episode 'enough=true', and one turn more for it"
            )
        for part in self._parts:
            part.check(episode, samples)

    def episode(self, config: EpisodeConfig) -> EpisodeConfig:
        """That of the policy that searches."""
        return self._searcher.episode(config)

    def inputs(self, episode: EpisodeConfig) -> dict[str, str]:
        """Those of its parts."""
        return {name: value for part in self._parts for name, value in part.inputs(episode).items()}

    def settings(self) -> dict[str, Any]:
        """Its own, and those of its parts."""
        parts = {"searcher": self._searcher.settings()}
        if self._model is not None:
            parts["asked_model"] = {"model": self._model.model, **self._model.settings()}
        return super().settings() | {name: settings for name, settings in parts.items() if settings}

    @contextmanager
    def open(self, retriever: Retriever, log: Path) -> Iterator[Policies]:
        """Open its parts."""
        with ExitStack() as stack:
            opened = {part: stack.enter_context(part.open(retriever, log)) for part in self._parts}
            model = opened[self._model] if self._model is not None else None
            yield _StoppingPolicies(opened[self._searcher], model, retriever, self._rule, self._settings)


class _StoppingPolicies(Policies):
    def __init__(
        self,
        searchers: Policies,
        models: Policies | None,
        retriever: Retriever,
        rule: type[StopRule],
        settings: StopSettings,
    ) -> None:
        self._searchers = searchers
        self._models = models
        self._retriever = retriever
        self._rule = rule
        self._settings = settings

    def new(self, question: Question, sample: int) -> StopRule:
        model = self._models.new(question, sample) if self._models is not None else None
        return self._rule(
            self._searchers.new(question, sample),
            self._retriever,
            self._settings,
            cast("ServerPolicy | None", model),
        )

    async def close(self) -> None:
        await self._searchers.close()
        if self._models is not None and self._models is not self._searchers:
            await self._models.close()
