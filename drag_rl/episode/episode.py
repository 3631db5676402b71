"""One episode as a state machine over messages. It knows no tokens, no trainer, no server, no index and no pixels.

A driver's whole loop::

    episode = SearchEpisode(question, retriever.pages, config)
    while not episode.stop_reason:
        text, finish_reason = generate(episode.messages, episode.tools, config.stop_strings)
        reply = episode.step(text, finish_reason)
        if isinstance(reply, SearchRequest):
            reply = episode.show(await retriever.search(reply.queries, reply.top_k))
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

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from drag_rl.episode.actions import parse_action
from drag_rl.episode.neutral import control_token
from drag_rl.episode.observation import Message, Observation, shown_as
from drag_rl.episode.prompt import how_to_act, last_turn_note, opening_messages, tool_schemas
from drag_rl.episode.request import SearchRequest, pages_searched
from drag_rl.protocol import EpisodeConfig
from drag_rl.retrieval.base import Ranking
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import (
    Action,
    Answer,
    Enough,
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


class SearchEpisode:
    """The protocol for one question: feed ``step`` the assistant's text, get an observation or the end.

    A search made on the last turn still counts in the trace, though nothing is shown of it.
    """

    def __init__(self, question: Question, pages: PageTexts, config: EpisodeConfig | None = None) -> None:
        """``pages`` are those of the index.

        Raises InputError when the configured system prompt cannot be read, and for a question that is asked of a
        document, in which the episode would search, without a page in the index.
        """
        self.question = question
        self.config = config or EpisodeConfig()
        self._pages_searched = pages_searched(question, pages, self.config)
        self.messages: list[Message] = opening_messages(question, self.config)
        self.tools: list[Message] | None = tool_schemas(self.config)
        self.stop_reason: StopReason | None = None
        self._pages = pages
        self._turns: list[Turn] = []
        self._asked: SearchRequest | None = None
        self._proposed = False
        self._listed: set[str] = set()
        self._names: dict[str, str] = {}
        self._pictured: set[str] = set()

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The turns so far."""
        return tuple(self._turns)

    def step(self, text: str, finish_reason: FinishReason) -> SearchRequest | Observation | StopReason:
        """Take the assistant's message, without its end token, and say what comes next.

        A request wants its rankings (:meth:`show`). An observation is a proposal: ``commit`` it or a ``smaller`` one,
        or ``stop``. Raises RuntimeError when the episode has ended, waits for rankings, or a proposal is open.
        """
        self._must(be="ready")
        config = self.config
        action = parse_action(
            text,
            config.action_format,
            complete=finish_reason == "stop",
            max_query_chars=config.max_query_chars,
            queries_per_turn=config.queries_per_turn,
            shown={shown_as(page_id): page_id for page_id in self._listed},
            enough=self._names if config.enough else None,
        )
        self.messages.append({"role": "assistant", "content": text})
        self._turns.append(
            Turn(step=len(self._turns) + 1, text=text, action=action, corpus_ranks=(), shown=())
        )
        if isinstance(action, Search):
            self._asked = SearchRequest.of(action, self.question, config, self._listed)
            return self._asked
        reason = self._reason_to_stop(action, finish_reason)
        if reason:
            return self.stop(reason)
        self._proposed = True
        return self._correction(action) if isinstance(action, Malformed) else Observation()

    def show(self, rankings: Sequence[Ranking]) -> Observation | StopReason:
        """Take the rankings that ``step`` asked for, in the order of its queries; returns as ``step`` does.

        Raises RuntimeError when no search was asked for, ValueError for another number of rankings than of queries.
        """
        self._must(be="asking")
        asked, turn = self._asked, self._turns[-1]
        assert asked is not None and isinstance(turn.action, Search)
        shown, whole = asked.rankings(rankings, self._pages, self.config.top_k)
        self._asked = None
        words, chars = asked.words, self.config.snippet_chars
        hits = tuple(
            replace(hit, snippet=self._pages.snippet(hit.page_id, words, chars)) for hit in shown.hits
        )
        self._turns[-1] = replace(
            turn,
            hits=hits,
            gold_ranks=shown.tracked,
            corpus_ranks=whole.tracked,
            exact_to=shown.exact_to,
        )
        if turn.step >= self.config.max_turns:
            return self.stop(StopReason.MAX_TURNS)
        self._proposed = True
        return self._found(turn.action, hits)

    def commit(self, observation: Observation) -> None:
        """Append the observation that the policy is really shown, and record it in the trace."""
        self._must(be="proposing")
        self._proposed = False
        self.messages.append(observation.message)
        self._listed.update(hit.page_id for hit in observation.hits)
        self._names |= observation.names
        self._pictured.update(observation.page_ids)
        self._turns[-1] = replace(
            self._turns[-1],
            observation=observation.text,
            image_page_ids=observation.page_ids,
            shown=tuple(
                self._pages.text(hit.page_id) if hit.page_id in observation.page_ids else snippet
                for hit, snippet in zip(observation.hits, observation.snippets, strict=True)
            ),
        )

    def stop(self, reason: StopReason) -> StopReason:
        """End the episode, dropping an open search or proposal; the first reason stays, and is returned."""
        self._asked, self._proposed = None, False
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
            corpus_pages=self._pages_searched,
        )

    def _must(self, *, be: Literal["ready", "asking", "proposing"]) -> None:
        if self.stop_reason is not None:
            raise RuntimeError(f"the episode has ended ({self.stop_reason})")
        state = "asking" if self._asked else "proposing" if self._proposed else "ready"
        if state != be:
            raise RuntimeError(
                {
                    "ready": "nothing to commit or to show",
                    "asking": "a search is waiting for its rankings",
                    "proposing": "an observation is waiting for commit or stop",
                }[state]
            )

    def _reason_to_stop(self, action: Action, finish_reason: FinishReason) -> StopReason | None:
        if isinstance(action, Answer):
            return StopReason.ANSWERED
        if isinstance(action, Enough):
            return StopReason.ENOUGH
        if isinstance(action, Malformed):
            if finish_reason == "length":
                return StopReason.LENGTH
            if self.config.on_malformed == "end" or control_token(self._turns[-1].text):
                return StopReason.MALFORMED
        return StopReason.MAX_TURNS if len(self._turns) >= self.config.max_turns else None

    def _found(self, action: Search, hits: tuple[Hit, ...]) -> Observation:
        config = self.config
        fresh = tuple(hit.page_id for hit in hits if hit.page_id not in self._pictured)
        return Observation(
            hits=hits,
            lead=self._lead(action, hits),
            note=last_turn_note(len(self._turns), config),
            role="tool" if config.action_format == "tools" else "user",
            wrap=config.action_format == "xml",
            seen=frozenset(self._listed),
            page_ids=() if config.observation == "text" else fresh,
            snippet_chars=0 if config.observation == "image" else config.snippet_chars,
            show_page_ids=config.show_page_ids,
            numbered_from=self._shown_before if config.enough and not config.show_page_ids else 0,
        )

    @property
    def _shown_before(self) -> int:
        """How many hits the policy was shown so far; a page that was listed twice counts twice."""
        return sum(len(turn.shown_page_ids) for turn in self._turns)

    def _lead(self, action: Search, hits: tuple[Hit, ...]) -> str:
        if not hits:
            other = "" if self.config.repeat_pages or not self._listed else "other "
            every = "all of " if self.config.combine == "intersection" and len(action.queries) > 1 else ""
            searched = ", ".join(f'"{query}"' for query in action.queries)
            return f"No {other}page matches {every}{searched}. Try other words."
        if not self.config.repeat_pages:
            return ""
        before = self._turns[:-1]
        earlier = {query_key(turn.action.query) for turn in before if isinstance(turn.action, Search)}
        again = query_key(action.query) in earlier
        return "You have made this search before. Try other words." if again else ""

    def _correction(self, action: Malformed) -> Observation:
        hint = how_to_act(self.config)
        warning = last_turn_note(len(self._turns), self.config)
        return Observation(
            lead=f"That is no action: {action.reason}.", note=f"{hint} {warning}".strip(), wrap=False
        )
