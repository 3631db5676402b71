"""One episode as a state machine over messages. It knows no tokens, no trainer, no server and no pixels.

A driver's whole loop::

    episode = SearchEpisode(question, searcher, config)
    while not episode.stop_reason:
        text, finish_reason = generate(episode.messages, episode.tools, config.stop_strings)
        reply = episode.step(text, finish_reason)      # searches
        while isinstance(reply, Observation) and not fits(reply.message):
            reply = reply.smaller() or episode.stop(StopReason.LENGTH)
        if isinstance(reply, Observation):
            episode.commit(reply)
    outcome = episode.outcome()

Messages are only ever appended. Assistant messages hold the policy's text verbatim, so a template that
prints content as it is renders what the policy wrote. Qwen3's *thinking* templates drop the thoughts of
earlier turns when the history is rendered anew and a later ``user`` message is no tool response: a driver
that sends messages again (to an HTTP server) should use ``action_format="tools"`` with such a model; one that
keeps tokens is not affected.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal, Protocol

from drag_rl.episode.actions import parse_action
from drag_rl.episode.neutral import control_token
from drag_rl.episode.observation import Message, Observation, shown_as
from drag_rl.episode.prompt import last_turn_note, opening_messages, tool_schemas
from drag_rl.protocol import EpisodeConfig
from drag_rl.types import (
    Action,
    Answer,
    Hit,
    Malformed,
    Outcome,
    Question,
    Search,
    StopReason,
    Turn,
    query_key,
)

FinishReason = Literal["stop", "length"]


class SearchResult(Protocol):
    """What a search gives back."""

    @property
    def hits(self) -> tuple[Hit, ...]:
        """At most ``top_k`` pages, best first."""

    @property
    def gold_ranks(self) -> tuple[int | None, ...]:
        """The exact 1-based rank of each gold page asked for among the pages that were searched, or None."""

    @property
    def corpus_ranks(self) -> tuple[int | None, ...]:
        """The same over the whole corpus, whatever pages were left out."""


class Searcher(Protocol):
    """Anything that searches pages: ``drag_rl.retrieval.SearchIndex``, or a toy in a test."""

    def search(
        self,
        query: str,
        top_k: int,
        gold_page_ids: Sequence[str],
        *,
        snippet_chars: int,
        without: Collection[str] = (),
    ) -> SearchResult:
        """Find the pages that match a query, as if those of ``without`` were not there.

        Must be deterministic and safe to call from threads.
        """

    def page(self, page_id: str) -> str:
        """The text of a page."""

    def __len__(self) -> int:
        """How many pages are searched."""


class SearchEpisode:
    """The protocol for one question: feed ``step`` the assistant's text, get an observation or the end.

    A search made on the last turn still counts in the trace, though nothing is shown of it.
    """

    def __init__(self, question: Question, searcher: Searcher, config: EpisodeConfig | None = None) -> None:
        """Raises InputError when the configured system prompt cannot be read."""
        self.question = question
        self.config = config or EpisodeConfig()
        self.messages: list[Message] = opening_messages(question, self.config)
        self.tools: list[Message] | None = tool_schemas(self.config)
        self.stop_reason: StopReason | None = None
        self._searcher = searcher
        self._turns: list[Turn] = []
        self._proposed = False
        self._listed: set[str] = set()
        self._pictured: set[str] = set()

    def step(self, text: str, finish_reason: FinishReason) -> Observation | StopReason:
        """Take the assistant's message (without its end token) and search if it says so.

        An observation is a proposal: ``commit`` it or a ``smaller`` one, or ``stop``. Raises RuntimeError
        when the episode has ended or a proposal is open.
        """
        self._must_be(proposed=False)
        config = self.config
        action = parse_action(
            text,
            config.action_format,
            complete=finish_reason == "stop",
            max_query_chars=config.max_query_chars,
            shown={shown_as(page_id): page_id for page_id in self._listed},
        )
        self.messages.append({"role": "assistant", "content": text})
        turn = Turn(step=len(self._turns) + 1, text=text, action=action, corpus_ranks=(), shown=())
        if isinstance(action, Search):
            proposal, turn = self._search(action, turn)
        else:
            proposal = self._correction(action) if isinstance(action, Malformed) else Observation()
        self._turns.append(turn)
        reason = self._reason_to_stop(action, finish_reason)
        if reason:
            return self.stop(reason)
        self._proposed = True
        return proposal

    def commit(self, observation: Observation) -> None:
        """Append the observation that the policy is really shown, and record it in the trace."""
        self._must_be(proposed=True)
        self._proposed = False
        self.messages.append(observation.message)
        self._listed.update(hit.page_id for hit in observation.hits)
        self._pictured.update(observation.page_ids)
        self._turns[-1] = replace(
            self._turns[-1],
            observation=observation.text,
            image_page_ids=observation.page_ids,
            shown=tuple(
                self._searcher.page(hit.page_id) if hit.page_id in observation.page_ids else snippet
                for hit, snippet in zip(observation.hits, observation.snippets, strict=True)
            ),
        )

    def stop(self, reason: StopReason) -> StopReason:
        """End the episode, dropping an open proposal; the first reason given stays, and is returned."""
        self._proposed = False
        self.stop_reason = self.stop_reason or reason
        return self.stop_reason

    def outcome(self) -> Outcome:
        """The finished episode. Raises RuntimeError before its end."""
        if self.stop_reason is None:
            raise RuntimeError("the episode has not ended")
        return Outcome(
            question=self.question,
            turns=tuple(self._turns),
            stop_reason=self.stop_reason,
            config=self.config,
            corpus_pages=len(self._searcher),
        )

    def _must_be(self, *, proposed: bool) -> None:
        if self.stop_reason is not None:
            raise RuntimeError(f"the episode has ended ({self.stop_reason})")
        if self._proposed != proposed:
            raise RuntimeError(
                "an observation is waiting for commit or stop" if self._proposed else "nothing to commit"
            )

    def _reason_to_stop(self, action: Action, finish_reason: FinishReason) -> StopReason | None:
        if isinstance(action, Answer):
            return StopReason.ANSWERED
        if isinstance(action, Malformed):
            if finish_reason == "length":
                return StopReason.LENGTH
            if self.config.on_malformed == "end" or control_token(self._turns[-1].text):
                return StopReason.MALFORMED
        return StopReason.MAX_TURNS if len(self._turns) >= self.config.max_turns else None

    def _search(self, action: Search, turn: Turn) -> tuple[Observation, Turn]:
        config = self.config
        found = self._searcher.search(
            self.question.searched(action.query, expand=config.expand_question),
            config.top_k,
            gold_page_ids=self.question.gold_page_ids,
            snippet_chars=config.snippet_chars,
            without=() if config.repeat_pages else self._listed,
        )
        fresh = tuple(hit.page_id for hit in found.hits if hit.page_id not in self._pictured)
        observation = Observation(
            hits=found.hits,
            lead=self._lead(action, found.hits),
            note=last_turn_note(turn.step, config),
            role="tool" if config.action_format == "tools" else "user",
            wrap=config.action_format == "xml",
            seen=frozenset(self._listed),
            page_ids=() if config.observation == "text" else fresh,
            snippet_chars=0 if config.observation == "image" else config.snippet_chars,
            show_page_ids=config.show_page_ids,
        )
        return observation, replace(
            turn,
            hits=found.hits,
            gold_ranks=tuple(found.gold_ranks),
            corpus_ranks=tuple(found.corpus_ranks),
        )

    def _lead(self, action: Search, hits: tuple[Hit, ...]) -> str:
        if not hits:
            other = "" if self.config.repeat_pages or not self._listed else "other "
            return f'No {other}page matches "{action.query}". Try other words.'
        if not self.config.repeat_pages:
            return ""
        earlier = {query_key(turn.action.query) for turn in self._turns if isinstance(turn.action, Search)}
        again = query_key(action.query) in earlier
        return "You have made this search before. Try other words." if again else ""

    def _correction(self, action: Malformed) -> Observation:
        alone = self.config.search_only
        hint = (
            f"Write one <search>keywords</search>{'' if alone else ' or one <answer>text</answer>'}."
            if self.config.action_format == "xml"
            else f"Call the search tool once{'' if alone else ', or write the answer'}."
        )
        warning = last_turn_note(len(self._turns) + 1, self.config)
        return Observation(
            lead=f"That is no action: {action.reason}.", note=f"{hint} {warning}".strip(), wrap=False
        )
