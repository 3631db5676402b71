"""What the policy saw and wrote, as messages again: exactly those of the rollout, with images as ``<image>``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from drag_rl.corpus.images import PageImages
from drag_rl.episode import EpisodeConfig, Message, as_text
from drag_rl.episode.neutral import PLACEHOLDERS
from drag_rl.episode.prompt import action_text, opening_messages, tool_schemas
from drag_rl.errors import InputError
from drag_rl.types import Outcome, Question, Search, Trajectory, Turn

_PLACEHOLDER = re.compile(rf"<(?=(?:{'|'.join(PLACEHOLDERS)})>)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionGroup:
    """All trajectories of a question; each part in the order of its sample numbers."""

    question: Question
    kept: tuple[Trajectory, ...]
    """Those that the filter kept: examples to follow."""
    others: tuple[Trajectory, ...] = ()
    """Those that it did not: their queries still tell good from bad."""

    @property
    def document(self) -> str:
        """The document of the first gold page."""
        return document_of(self.question)


def inert(text: str) -> str:
    """A text in which ``<image>`` and its like are no placeholders of verl's data sets.

    >>> inert("an <image> tag, <imagery>")
    'an ‹image> tag, <imagery>'
    """  # noqa: RUF002 (as episode.neutral)
    return _PLACEHOLDER.sub("‹", text)  # noqa: RUF001 (as episode.neutral)


def document_of(question: Question) -> str:
    """The document of a question's first gold page."""
    return question.gold_page_ids[0].rpartition("#")[0]


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation."""

    messages: tuple[Message, ...]
    """Role and content, a text in which ``<image>`` stands for each of ``images`` in turn."""
    images: tuple[Message, ...] = ()
    """Image parts: ``page_id`` of a page, or ``path`` of a question's own file."""

    def then(self, role: str, content: str, images: Sequence[Message] = (), **rest: str) -> Chat:
        """The conversation with one more message."""
        message = {"role": role, "content": content, **rest}
        return Chat((*self.messages, message), (*self.images, *images))

    def answered(self, text: str) -> Chat:
        """The conversation with a message of the policy, in which ``<image>`` is no image."""
        return self.then("assistant", inert(text))


class Conversations:
    """Makes conversations under the settings that the trajectories were collected with."""

    def __init__(self, config: EpisodeConfig, pages: PageImages | None = None) -> None:
        """``pages`` is needed where observations showed page images."""
        self.config = config
        self._pages = pages

    @cached_property
    def tools(self) -> list[Message] | None:
        """The tool schemas that the policy was given; None when actions are tags."""
        return tool_schemas(self.config)

    def opening(self, question: Question) -> Chat:
        """What the policy read first. A hint that it was given is no part of it."""
        return _chat(opening_messages(question, self.config))

    def before(self, outcome: Outcome, step: int) -> Chat:
        """All that the policy read before it wrote the message of a 1-based step."""
        chat = self.opening(outcome.question)
        for turn in outcome.turns[: step - 1]:
            chat = chat.answered(turn.text)
            called = self.tools is not None and isinstance(turn.action, Search)
            images = [{"page_id": page_id} for page_id in turn.image_page_ids]
            name = {"name": "search"} if called else {}
            chat = chat.then("tool" if called else "user", turn.observation, images, **name)
        return chat

    def single(self, question: Question, *, think: bool) -> Chat:
        """The opening of an episode of one turn, which asks for one query; with or without a thought."""
        config = self.config.model_copy(update={"max_turns": 1, "think": think and self.config.think})
        return _chat(opening_messages(question, config))

    def query(self, outcome: Outcome, turn: Turn) -> Chat:
        """The question and one query, as a conversation of one turn.

        The first message of an episode stays as it is. A later one speaks of hits that are not shown here: of it only
        the search is kept, and no thought is asked for.
        """
        if turn.step == 1:
            return self.single(outcome.question, think=True).answered(turn.text)
        return self.single(outcome.question, think=False).answered(self.bare(turn))

    def bare(self, turn: Turn) -> str:
        """The message of a search without its thought."""
        if not isinstance(turn.action, Search):
            raise TypeError(f"step {turn.step} is no search")
        config = self.config.model_copy(update={"think": False})
        return inert(action_text("", "search", turn.action.query, config))

    def image_files(self, chat: Chat) -> list[dict[str, str]]:
        """The files of a conversation's images, as verl's data sets want them; pages are rendered where need be.

        Raises InputError for a file that is not there, or a page without a folder of pages.
        """
        return [{"image": str(self._image_file(part).absolute())} for part in chat.images]

    def _image_file(self, part: Message) -> Path:
        if "path" in part:
            path = Path(part["path"])
            if not path.is_file():
                raise InputError(f"{path}: is not there; it is the image of a question")
            return path
        if self._pages is None:
            raise InputError(
                f"the policy was shown images of pages ({part['page_id']}): give --pages, the folder of pages"
            )
        return self._pages.shown_path(part["page_id"])


def _chat(messages: Sequence[Message]) -> Chat:
    chat = Chat(())
    for message in messages:
        content, parts = as_text(message), message["content"]
        if message["role"] in {"system", "assistant"}:
            content = inert(content)
        images = [] if isinstance(parts, str) else [part for part in parts if part["type"] == "image"]
        rest: dict[str, Any] = {name: message[name] for name in message if name not in {"role", "content"}}
        chat = chat.then(message["role"], content, images, **rest)
    return chat
