"""Results of a policy that finds what one says it finds."""

from __future__ import annotations

from dataclasses import replace

import trajectory_lab as lab

from drag_rl.evaluation.results import Results, bootstrap_facts, question_set, score

N = 300
QUESTIONS = tuple(
    replace(lab.QUESTIONS[n % len(lab.QUESTIONS)], question_id=f"q{n:03d}", text=f"Question {n}?")
    for n in range(N)
)


def results_of(index, good, questions=QUESTIONS, **fields):
    """Results of a policy that asks for the gold page where ``good`` says so, and for nonsense elsewhere."""
    trajectories = []
    for number, question in enumerate(questions):
        document, page = question.gold_page_ids[0].split("#")
        word = lab.DOCUMENTS[document].split()[int(page) - 1] if good(number) else "zebra"
        trajectories.append(lab.played(index, question, [lab.search(word), lab.answer("It needs care.")]))
    aggregate, rows = score(trajectories)
    settings = {
        "policy": "model",
        "model": "m",
        "samples": 1,
        "split": "test",
        "corpus_pages": len(index),
        "fingerprints": {"question_set": question_set(questions), "index": index.manifest.fingerprint},
        "config": {"episode": lab.PLAIN.model_dump(mode="json"), "sampling": {"name": "greedy"}},
        "paths": {},
        "aggregate": aggregate,
        "bootstrap": bootstrap_facts(),
        "seconds": 1.0,
        "versions": {},
        "rows": rows,
    }
    return Results(**settings | fields)
