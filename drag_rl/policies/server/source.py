"""Policies behind a server: found or started for a run, and shared by all of its episodes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drag_rl.episode import EpisodeConfig
from drag_rl.episode.prompt import template_path
from drag_rl.errors import InputError
from drag_rl.files.manifest import sha256_file
from drag_rl.policies.base import ServerDown
from drag_rl.policies.server.message_encoding import MessageEncoding
from drag_rl.policies.server.model_server import ModelServer, ServerSettings
from drag_rl.policies.server.sampling import SAMPLINGS, Sampling
from drag_rl.policies.settings import PolicySettings
from drag_rl.policies.source import Dialect, Policies, PolicyOptions, PolicySource
from drag_rl.retrieval.base import Retriever
from drag_rl.types import Question

if TYPE_CHECKING:
    from drag_rl.policies.server.policy import ServerPolicy


class ServerSource(PolicySource):
    """A policy behind a server, with its options."""

    def __init__(self, options: PolicyOptions, policy: type[ServerPolicy]) -> None:
        super().__init__(options, policy.settings_type)
        self._policy = policy
        self.sampling = options.sampling
        self.startup = "starting vLLM" if options.model.model_path is not None else ""

    @property
    def model(self) -> str:
        """The model's name in requests."""
        return self.options.model.name

    @property
    def repeats(self) -> str:
        """A temperature of 0 draws the same every time."""
        name = self.options.sampling
        return "" if SAMPLINGS[name].temperature else f"with --sampling {name} all draws are the same"

    def check(self, episode: EpisodeConfig, samples: int) -> None:
        """Raise InputError for a model that is not named well, a sampling that cannot be done, or missing pages.

        It raises InputError, too, for what the policy itself cannot do.
        """
        options = self.options
        self._policy.check(self.policy_settings, options, self.episode(episode))
        options.model.check()
        check_sampling(
            options.sampling, SAMPLINGS.find(options.sampling, "--sampling"), options.dialect, samples
        )
        if episode.observation != "text" and options.pages is None:
            raise InputError(
                f"--episode observation={episode.observation} needs --pages, the folder of pages"
            )

    def episode(self, config: EpisodeConfig) -> EpisodeConfig:
        """The configuration that it plays under."""
        return self._policy.episode(config)

    def inputs(self, episode: EpisodeConfig) -> dict[str, str]:
        """The weights, as far as they are known, and the user's system prompt."""
        prompt = {"system_prompt": sha256_file(template_path(episode))} if episode.system_prompt else {}
        return self.options.model.fingerprints() | prompt

    def settings(self) -> dict[str, Any]:
        """Server, sampling and budgets."""
        options = self.options
        own = {} if options.name == "model" else {"policy": options.name}
        return (
            super().settings()
            | own
            | {
                "server": options.dialect,
                "sampling": {"name": options.sampling, **asdict(SAMPLINGS[options.sampling])},
                "seed": options.seed,
                "max_tokens": options.max_tokens,
                "max_pixels": options.max_pixels if options.pages is not None else 0,
            }
        )

    @contextmanager
    def open(self, retriever: Retriever, log: Path) -> Iterator[Policies]:
        """Look for the server, or start one that writes to ``log``. Raises InputError."""
        options = self.options
        encoding = _encoding(options)
        with options.model.serve(log) as served:
            settings = ServerSettings(
                base_url=served.base_url,
                model=options.model.name,
                api_key=served.key,
                timeout_s=options.timeout_s,
                retries=options.retries,
                dialect=options.dialect,
                timed=options.timed,
            )
            try:
                yield ServerPolicies(
                    settings, encoding, options, retriever, self._policy, self.policy_settings
                )
            except ServerDown as error:
                if served.log is None:
                    raise
                raise ServerDown(f"{error}; vLLM's log is {served.log}") from error


class ServerPolicies(Policies):
    """The policies of one server's model."""

    def __init__(
        self,
        server: ServerSettings,
        encoding: MessageEncoding,
        options: PolicyOptions,
        retriever: Retriever,
        policy: type[ServerPolicy],
        settings: PolicySettings | None = None,
    ) -> None:
        self._settings = settings or policy.settings_type()
        self._server = ModelServer(server)
        self._encoding = encoding
        self._options = options
        self._retriever = retriever
        self._policy = policy

    def new(self, question: Question, sample: int) -> ServerPolicy:
        """The policy of one episode."""
        return self._policy(
            server=self._server,
            encoding=self._encoding,
            sampling=SAMPLINGS[self._options.sampling],
            retriever=self._retriever,
            max_tokens=self._options.max_tokens,
            seed=self._options.seed,
            question_id=question.question_id,
            sample=sample,
            settings=self._settings,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._server.close()


def check_sampling(name: str, sampling: Sampling, dialect: Dialect, samples: int) -> None:
    """Raise InputError for a sampling that the server cannot do, or that gives the same sample again and again."""
    if dialect == "openai" and sampling.repetition_penalty != 1.0:
        raise InputError(f"--sampling {name}: has a repetition penalty, which --server openai does not know")
    if sampling.temperature == 0 and samples > 1:
        raise InputError(f"--samples {samples}: with --sampling {name} all of them are the same; use 1")


def _encoding(options: PolicyOptions) -> MessageEncoding:
    structured = options.dialect == "openai"
    if options.pages is None:
        return MessageEncoding(structured_calls=structured)
    from drag_rl.corpus.images import PageImages  # takes seconds, and most runs show text

    return MessageEncoding(
        pages=PageImages(options.pages, max_pixels=options.max_pixels), structured_calls=structured
    )
