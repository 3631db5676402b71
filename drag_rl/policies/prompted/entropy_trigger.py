"""Entropy trigger: write the answer, and search where the choice of a word is most open. DRAGIN without attention.

Source: Su et al. 2024, "DRAGIN: Dynamic Retrieval Augmented Generation based on the Real-time Information Needs of
Large Language Models" (arXiv 2403.10081), and its code.

The paper's: a draft is written without pages. In its first sentence that has a word whose entropy times attention is
above a threshold (stop words out; 1.2 for HotpotQA), the words before are ranked by the attention that this word pays
them, and the best 25 content words, in their order, are the query. That sentence is written again with what was found,
and the next draft begins after it, without pages; it ends with "the answer is", at a limit of length, or when nothing
was added. Ours, since servers do not tell attention: the code divides attention by its mean over the sentence, so that
1, for all words alike, leaves entropy on the paper's scale; and in place of the attended words the query takes those
that are rarest in the index. Entropy comes from the 20 likeliest tokens and a lower bound of the rest. The model may
also end its answer itself. No worked examples, ``top_k`` pages in place of 3, and no more searches than the episode
allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import Field

from drag_rl.policies.base import EpisodeState
from drag_rl.policies.prompted.draft import Draft
from drag_rl.policies.prompted.prompted import TOP, Prompted
from drag_rl.policies.prompted.reading import last_pages, one_line, with_pages
from drag_rl.policies.prompted.sentences import first_sentence, sentence_spans
from drag_rl.policies.settings import PolicySettings
from drag_rl.retrieval.page_texts import PageTexts
from drag_rl.types import Hit

_ANSWER = re.compile("the answer is", re.IGNORECASE)


class EntropyTriggerSettings(PolicySettings):
    """Settings of the entropy trigger; the defaults are the paper's for HotpotQA."""

    tunable: ClassVar[str] = "threshold"
    bounds: ClassVar[tuple[float, float]] = (0.0, 12.0)

    threshold: float = Field(default=1.2, ge=0)
    """A content word whose entropy, in nats, is above it is searched for."""
    query_words: int = Field(default=25, ge=1, le=200)
    """Words of a query, at most."""
    answer_tokens: int = Field(default=256, ge=1, le=4096)
    """Tokens of a draft, and of the whole answer, at most."""


@dataclass(kw_only=True)
class EntropyTrigger(Prompted):
    """Searches for the rarest words before a word of the answer that the model is least sure of."""

    settings_type: ClassVar[type[PolicySettings]] = EntropyTriggerSettings
    settings: EntropyTriggerSettings
    _text: str = field(default="", init=False)
    _tokens: int = field(default=0, init=False)
    _searched: bool = field(default=False, init=False)

    async def query(self, state: EpisodeState) -> str | None:
        """The words to search for before the next sentence; None once the answer is written."""
        while self._tokens < self.settings.answer_tokens and not _ANSWER.search(self._text):
            pages = last_pages(state) if self._searched else ()
            draft = await self._draft(state, pages)
            if self._searched:  # this sentence is written again, and stays whatever its entropy is now
                self._searched = False
                sentence = first_sentence(draft.text)
                if not self._add(draft, sentence):
                    return None
                if draft.ended and sentence == draft.text.strip():
                    return None
                continue
            trigger = self._trigger(draft)
            if trigger is None:
                limit = min(self.max_tokens, self.settings.answer_tokens)
                grew = self._add(draft, draft.text, tokens=0 if draft.ended else limit)
                if draft.ended or not grew:
                    return None
                continue
            sentence_begin, word_begin = trigger
            before = f"{state.question.text} {self._text} {draft.text[:word_begin]}"
            self._add(draft, draft.text[:sentence_begin])
            self._searched = True
            return (
                rarest_words(self.retriever.pages, before, self.settings.query_words) or state.question.text
            )
        return None

    async def answer(self, state: EpisodeState) -> str:
        """What was written; what is missing of it when the searches are spent is written in one go."""
        if not self._stopped:
            draft = await self._draft(state, last_pages(state))
            self._add(draft, draft.text)
        return self._text

    async def _draft(self, state: EpisodeState, pages: tuple[Hit, ...]) -> Draft:
        prompt = (
            f"{with_pages(state, pages)}\nAnswer the question in full sentences, the last of which is "
            '"So the answer is ...". Go on where the answer so far ends, and do not repeat it.\n'
            f"Answer so far: {self._text or '(nothing)'}\nGo on:"
        )
        return await self.draft(prompt, max_tokens=self.settings.answer_tokens, top=TOP)

    def _add(self, draft: Draft, text: str, tokens: int = 0) -> bool:
        """Keep the beginning of a draft, of so many tokens or more; returns whether it says anything."""
        added = one_line(text)
        self._text = f"{self._text} {added}".strip()
        self._tokens += max(bool(added), tokens, len(draft.within(0, len(text))))
        return bool(added)

    def _trigger(self, draft: Draft) -> tuple[int, int] | None:
        """Where the first sentence begins that has a word above the threshold, and where that word does."""
        spans = self.retriever.pages.tokenizer.spans(draft.text)
        words = [(begin, begin + len(word)) for begin, word, _ in spans]
        threshold = self.settings.threshold
        open_words = zip(words, draft.mean_entropies(words), strict=True)
        first = next((begin for (begin, _), entropy in open_words if entropy > threshold), None)
        if first is None:
            return None
        return max(begin for begin, _ in [(0, 0), *sentence_spans(draft.text)] if begin <= first), first


def rarest_words(pages: PageTexts, text: str, number: int) -> str:
    """The content words of a text that fewest pages hold, each once, in the order of the text; some page holds each."""
    first: dict[str, str] = {}
    for _, word, term in pages.tokenizer.spans(text):
        if pages.pages_with(term):
            first.setdefault(term, word)
    kept = set(sorted(first, key=pages.pages_with)[:number])
    return " ".join(word for term, word in first.items() if term in kept)
