"""A trajectory that tries everything that a page of a PDF, or a policy, could put into a report."""

from __future__ import annotations

import json
from pathlib import Path

from drag_rl.protocol import EpisodeConfig
from drag_rl.trajectories.rows import write_row
from drag_rl.types import Answer, Hit, Malformed, Outcome, Question, Search, StopReason, Trajectory, Turn

PWN = "window.__pwned=1"
MARKUP = (
    f"</script><script>{PWN}</script><!-- <img src=x onerror='{PWN}'> <svg onload={PWN}> "
    f"<iframe src='javascript:{PWN}'></iframe> <style>*{{display:none}}</style> <base href=//evil.test> "
    f'"><a href="javascript:{PWN}">x</a> {{{{ {PWN} }}}} {{% raw %}} &lt;b&gt; ]]> --!> '
    "<link rel=stylesheet href=//evil.test>"
)
CONTROLS = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0)])) + "\u2028\u2029\ufeff\ufffe\u200b"
TURNED = "\u202egnp.exe\u202c \u2066\u2067 שלום עולם مرحبا \u200f(abc)"
UNBROKEN = "W" * 4000
ZALGO = "Z" + "\u0301\u0327\u0489" * 300
NASTY = f"{MARKUP} {CONTROLS} {TURNED} {UNBROKEN} {ZALGO}"
MEGABYTE = 1 << 20


def hostile_rows() -> list[str]:
    """Lines of a trajectories.jsonl: everything at once, a megabyte in one place, lone surrogates."""
    question = Question(
        question_id=f"q{MARKUP}",
        text=f"What is {NASTY}?",
        gold_page_ids=(f"doc{MARKUP}#1", f"{UNBROKEN}#2"),
        answers=(NASTY,),
        data_source=NASTY,
        images=(MARKUP,),
    )
    hits = tuple(
        Hit(page_id=page_id, rank=rank, score=1e308 / rank, snippet=NASTY)
        for rank, page_id in enumerate([*question.gold_page_ids, NASTY], start=1)
    )
    search = Turn(
        step=1,
        text=NASTY,
        action=Search(query=NASTY, thought=MARKUP + " long " + "<b>spam</b> " * (MEGABYTE // 12)),
        hits=hits,
        gold_ranks=(1, None),
        observation="x" * MEGABYTE,
    )
    broken = Turn(step=2, text=NASTY, action=Malformed(reason=NASTY, thought=TURNED))
    answer = Turn(
        step=3, text=NASTY, action=Answer(text=NASTY, citations=(NASTY, *question.gold_page_ids), thought="")
    )
    rows = []
    for sample, turns in enumerate([(search, broken, answer), (broken,), ()]):
        outcome = Outcome(
            question=question,
            turns=turns,
            stop_reason=StopReason.ANSWERED if len(turns) == 3 else StopReason.ERROR,
            config=EpisodeConfig(max_turns=3),
            corpus_pages=3,
        )
        row = write_row(
            Trajectory(
                outcome=outcome, sample=sample, model=NASTY, sampling=MARKUP, error="" if turns else NASTY
            )
        )
        rows.append(row)
    surrogates = json.loads(rows[1]) | {"question": "half a pair \ud83d, and \udc00", "question_id": "half"}
    return [*rows, json.dumps(surrogates)]


def write_hostile(path: Path) -> Path:
    """The rows as a file."""
    path.write_text("\n".join(hostile_rows()) + "\n", encoding="utf-8")
    return path
