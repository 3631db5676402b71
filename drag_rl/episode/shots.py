"""Worked examples for models that do not know the protocol; about everyday manuals, unlike our corpora.

Measured with a 135 M model (docs/experiments.md): where an example answers in words, the model copies page text until
its budget is spent; where the answer is only its citation, it ends. Hits therefore show ``page_id:`` and answers
``[page_id]``, so that the one does not continue as the other.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from drag_rl.types import Hit


@dataclass(frozen=True, slots=True, kw_only=True)
class ShotSearch:
    """One search of an example and what it found."""

    thought: str
    query: str
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One example dialogue."""

    question: str
    searches: tuple[ShotSearch, ...]
    reads_on: str
    """The thought before its last search, where that says the first one's words again to list the pages after; empty:
    it has words of its own in any case."""
    conclusion: str
    """The thought before the answer."""
    answer: str
    """The answer when citations are off."""
    cited: str
    """The page id that is the whole answer when citations are on."""

    def shown(self, search_turns: int, *, repeat_pages: bool) -> tuple[ShotSearch, ...]:
        """The searches of an episode of so many; where pages are not repeated, some examples read on."""
        *before, last = self.searches
        if before and self.reads_on and search_turns > 1 and not repeat_pages:
            last = replace(last, thought=self.reads_on, query=before[-1].query)
        return (*before, last)[-search_turns:]


def _hits(*pages: tuple[str, str]) -> tuple[Hit, ...]:
    return tuple(
        Hit(page_id=page_id, rank=rank, score=0.0, snippet=snippet)
        for rank, (page_id, snippet) in enumerate(pages, start=1)
    )


SHOTS: tuple[Shot, ...] = (
    Shot(
        question="How long can I keep cooked rice in the fridge?",
        searches=(
            ShotSearch(
                thought="Keywords: cooked rice, fridge.",
                query="cooked rice fridge",
                hits=_hits(
                    ("kitchen#3", "Rice: rinse it, then boil it for twelve minutes."),
                    ("kitchen#40", "The fridge: set it to 5 degrees and clean it every month."),
                ),
            ),
            ShotSearch(
                thought="No page says how long. Keywords: storage, leftovers, days.",
                query="leftovers storage days rice",
                hits=_hits(
                    ("kitchen#19", "Leftovers: cooked rice keeps for one day; cool it within an hour."),
                    ("kitchen#20", "Freeze bread and soup in small portions."),
                ),
            ),
        ),
        reads_on="No page says how long. The pages after these.",
        conclusion="kitchen#19 says it.",
        answer="One day.",
        cited="kitchen#19",
    ),
    Shot(
        question="What do I do if the red lamp on the boiler blinks?",
        searches=(
            ShotSearch(
                thought="Keywords: boiler, red lamp, blinks.",
                query="boiler red lamp blinks",
                hits=_hits(
                    ("heating#2", "The boiler has two lamps. The green lamp shows that it is on."),
                    ("heating#30", "Replace the lamp in the cellar only when the power is off."),
                ),
            ),
            ShotSearch(
                thought="Only the lamps are described. Keywords: fault, red, pressure.",
                query="red fault water pressure",
                hits=_hits(
                    ("heating#12", "Faults: red means that the water pressure is low. Refill to 1.5 bar."),
                    ("heating#13", "Call a technician when the fault comes back."),
                ),
            ),
        ),
        reads_on="Only the lamps are described. The pages after these.",
        conclusion="heating#12 says it.",
        answer="Refill the water to 1.5 bar.",
        cited="heating#12",
    ),
    Shot(
        question="Why does my bicycle make a clicking noise when I push hard on the pedals?",
        searches=(
            ShotSearch(
                thought="Keywords: clicking noise, pedals.",
                query="clicking noise pedals",
                hits=_hits(
                    ("bicycle#31", "Clipless pedals: a click tells that the shoe is locked in."),
                    ("bicycle#8", "The bell. Mount it on the left, close to the brake lever."),
                ),
            ),
            ShotSearch(
                thought="The crank may be the cause. Keywords: creaking, bottom bracket.",
                query="creaking crank loose bottom bracket",
                hits=_hits(
                    (
                        "bicycle#54",
                        "Creaking under load: tighten the crank bolts, grease the bottom bracket.",
                    ),
                    ("bicycle#55", "Replace a worn bottom bracket when it has side play."),
                ),
            ),
        ),
        reads_on="",
        conclusion="bicycle#54 says it.",
        answer="A loose crank.",
        cited="bicycle#54",
    ),
)
"""Of ``n`` shots the last ``n`` are shown, so they are in the order of the more useful last."""
