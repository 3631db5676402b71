"""Policies without a model: what a gain has to beat."""

from __future__ import annotations

from collections.abc import Iterator

from drag_rl.policies.baseline import Control
from drag_rl.policies.feedback import feedback_query
from drag_rl.policies.oracles import OracleDepth, OracleWords
from drag_rl.retrieval.stopwords import STOPWORDS


class RawQuestion(Control):
    """The question itself: once, or, where a search shows new pages only, as often as it may, which reads on."""

    def queries(self) -> Iterator[str]:
        """The question."""
        yield from self.once_or_reading_on(self.question.text)


class Keywords(Control):
    """The question without stop words, as often as the raw question.

    Stop words are the index's, and English question words where it has English ones.
    """

    def queries(self) -> Iterator[str]:
        """The words that are left; the question if none is."""
        stop = set(self.index.tokenizer.stopwords)
        if not stop or stop == set(STOPWORDS["en"]):
            stop |= set(STOPWORDS["en_plus"])
        words = [word for word in self.question.text.split() if word.strip(".,;:!?\"'()").lower() not in stop]
        yield from self.once_or_reading_on(" ".join(words) or self.question.text)


class Feedback(Control):
    """The question, then RM3 queries, each from the whole pages that the query before had found."""

    def queries(self) -> Iterator[str]:
        """Until there is nothing to learn from or a query comes back."""
        query, made = self.allowed(self.question.text), set[str]()
        while query and query not in made:
            made.add(query)
            yield query
            query = feedback_query(self.index, self.question.text, self.hits, self.config.max_query_chars)


CONTROLS: dict[str, type[Control]] = {
    "raw-question": RawQuestion,
    "keywords": Keywords,
    "feedback": Feedback,
    "oracle-depth": OracleDepth,
    "oracle-words": OracleWords,
}
"""By name; a new one is a class here and a line there."""
