"""Each method searches what its published loop searches, written here once more, on the same scripted model.

The loops of this file follow the papers' descriptions and are plain on purpose: they know no episode, no budget but a
number, and no server. Texts are lists of sentences of (word, probability), so that nothing is parsed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from math import log

import pytest
from fake_openai import Said
from hypothesis import given, settings
from hypothesis import strategies as st
from prompted_lab import (
    CONFIG,
    QUESTION,
    Scripted,
    Word,
    asks_yes_or_no,
    in_turn,
    prompt_of,
    queries,
    said,
    sentence,
    yes,
)
from scipy.stats import entropy
from trajectory_lab import shared_index

from drag_rl.retrieval import Query
from drag_rl.retrieval.blocking import blocking

BUDGET = CONFIG.search_turns
Sentence = list[Word]
Draft = list[Sentence]

CONTENT = ("impeller", "seal", "rotor", "blade", "copper", "stem", "gate")
_NOUNS = st.sampled_from([*CONTENT, "the", "of", "is"])
_WORDS = st.tuples(_NOUNS, st.sampled_from([0.2, 0.35, 0.6, 0.9, 0.99]))
_SENTENCES = st.lists(_WORDS, min_size=1, max_size=5).map(
    lambda words: [*words[:-1], (f"{words[-1][0]}.", words[-1][1])]
)
_DRAFTS = st.lists(_SENTENCES, max_size=3)
_SCRIPTS = st.lists(_DRAFTS, max_size=9)


@pytest.fixture(scope="module")
def server() -> Iterator[Scripted]:
    with Scripted() as running:
        yield running


def script(drafts: Sequence[Draft]) -> list[Said]:
    return [said(draft) for draft in drafts]


# IRCoT: search the question; write one sentence over all paragraphs, the next query; "answer is", or 10 sentences.


def ircot(write: Callable[[], Draft], budget: int) -> list[str]:
    searched, written = [QUESTION.text], 0
    while len(searched) < budget:
        draft = write()
        if not draft:
            break
        thought = sentence(draft[0])
        written += 1
        if re.match(r".* answer is:? (.*)", thought) or written == 10:
            break
        searched.append(thought)
    return searched


@settings(max_examples=12)
@given(drafts=_SCRIPTS, ends_at=st.integers(0, 6))
def test_ircot(server, drafts, ends_at):
    if ends_at < len(drafts):
        drafts[ends_at] = [[("So", 0.9), ("the", 0.9), ("answer", 0.9), ("is:", 0.9), ("care.", 0.9)]]
    server.say = in_turn(script(drafts))
    left = iter(drafts)
    assert queries(server.play("ircot")) == ircot(lambda: next(left, []), BUDGET)


def test_ircot_thinks_ten_sentences_at_most_over_fifteen_pages_at_most(server):
    server.say = lambda _: "The stem of the gate turns."
    config = CONFIG.model_copy(update={"max_turns": 14})
    trajectory = server.play("ircot", config)
    assert len(queries(trajectory)) == 10  # the question and nine sentences; the tenth is not searched
    # The pages are those found first, whole rounds later too.
    prompts = [prompt_of(request) for request in server.requests[-10:]]
    assert max(prompt.count("\n[") + prompt.startswith("[") for prompt in prompts) == 15


# FLARE: draft, keep the first sentence; if a token's p <= .8, the query is the sentence without tokens of p <= .4;
# search, write the sentence again, whatever it is then.


def flare(write: Callable[[], Draft], budget: int) -> list[str]:
    searched, again, written = [QUESTION.text], False, []
    while len(searched) < budget:
        draft = write()
        if not draft:
            break
        first = draft[0]
        if not again and any(probability <= 0.8 for _, probability in first):
            kept = " ".join(word for word, probability in first if probability > 0.4)
            searched.append(kept or sentence(first))
            again = True
            continue
        again = False
        if (
            len(draft) == 1 or sentence(first) in written
        ):  # the model has ended its answer, or goes in circles
            break
        written.append(sentence(first))
    return searched


@settings(max_examples=12)
@given(drafts=_SCRIPTS)
def test_flare(server, drafts):
    server.say = in_turn(script(drafts))
    left = iter(drafts)
    assert queries(server.play("flare")) == flare(lambda: next(left, []), BUDGET)


# Entropy trigger: a whole draft; the first sentence with a content word of an entropy above the threshold; the query is
# the rarest 25 content words before it; the sentence is written again with the pages, the next draft without.


def entropy_trigger(write: Callable[[], Draft], budget: int, threshold: float) -> list[str]:
    pages = shared_index().pages
    searched: list[str] = []
    text: list[str] = []
    while True:
        draft = write()
        hit = None
        for number, words in enumerate(draft):
            for place, (word, probability) in enumerate(words):
                open_ = entropy([probability, 1 - probability]) > threshold
                if open_ and word.strip(".") in CONTENT:
                    hit = (number, place)
                    break
            if hit:
                break
        if hit is None:
            return searched  # the draft is whole, and the model ended it
        if len(searched) == budget:
            return searched
        number, place = hit
        kept = [sentence(words) for words in draft[:number]]
        before = " ".join([QUESTION.text, *text, *kept, sentence(draft[number][:place])])
        rare: dict[str, str] = {}
        for word in re.findall(r"\w+", before.lower()):
            term = next((term for _, _, term in pages.tokenizer.spans(word)), None)
            if term and pages.pages_with(term):
                rare.setdefault(term, word)
        ordered = sorted(rare, key=pages.pages_with)[:25]
        searched.append(" ".join(word for term, word in rare.items() if term in ordered))
        text += kept
        if len(searched) == budget:
            return searched
        rewritten = write()
        if not rewritten or len(rewritten) == 1:
            return searched
        text.append(sentence(rewritten[0]))


@settings(max_examples=12)
@given(drafts=_SCRIPTS, threshold=st.sampled_from([0.3, 0.6, 0.68]))
def test_entropy_trigger(server, drafts, threshold):
    server.say = in_turn(script(drafts))
    left = iter(drafts)
    trajectory = server.play("entropy-trigger", threshold=threshold)
    assert queries(trajectory) == entropy_trigger(lambda: next(left, []), BUDGET, threshold)


# Iter-Retgen: search the question; each round searches the whole answer of the round before with the question.


@settings(max_examples=8)
@given(drafts=_SCRIPTS, rounds=st.integers(1, 5))
def test_iter_retgen(server, drafts, rounds):
    server.say = in_turn(script(drafts))
    answers = [" ".join(map(sentence, draft)) for draft in [*drafts, *[[]] * BUDGET]]
    wanted = [QUESTION.text, *(f"{answer} {QUESTION.text}".strip() for answer in answers)]
    assert queries(server.play("iter-retgen", rounds=rounds)) == wanted[: min(rounds, BUDGET)]


# Query2doc: the question five times and one pseudo-passage. HyDE's words: the question and eight. One search each.


@settings(max_examples=8)
@given(drafts=st.lists(_DRAFTS, min_size=8, max_size=8))
def test_query2doc_and_the_words_of_hyde(server, drafts):
    texts = [" ".join(map(sentence, draft)) for draft in drafts]
    server.say = in_turn(script(drafts))
    assert queries(server.play("query2doc")) == [" ".join([QUESTION.text] * 5 + texts[:1]).strip()]
    server.say = in_turn(script(drafts))
    [query] = queries(server.play("hyde-words"))
    # The eight are asked for at once, so they may come in any order.
    assert sorted(query.removeprefix(QUESTION.text).split()) == sorted(" ".join(texts).split())
    assert {request["temperature"] for request in server.requests[-9:-1]} == {0.7}


# ThinkQE: rounds of 2 passages; the question max(1, words of the passages / (3 x words of the question)) times.


@settings(max_examples=8)
@given(drafts=_SCRIPTS)
def test_thinkqe(server, drafts):
    server.say = in_turn(script(drafts))
    searched, passages, words = [QUESTION.text], [], len(QUESTION.text.split())
    texts = iter([*(" ".join(map(sentence, draft)) for draft in drafts), *[""] * 9])
    while len(searched) < BUDGET:
        passages += list(islice(texts, 2))
        times = max(1, int(len(" ".join(passages).split()) / (3 * words)))
        searched.append(" ".join([QUESTION.text] * times + passages))
    found = queries(server.play("thinkqe"))
    assert [sorted(query.split()) for query in found] == [sorted(query.split()) for query in searched]


# Self-reflection: search if P(yes) > .2; a draft from each page; best by exp(mean logp) + rel + sup + use; stop once it
# is supported, else search the question with it.

_JUDGEMENT = st.sampled_from([0.1, 0.3, 0.45, 0.7, 0.9])
_PAGES = shared_index().pages.page_ids


@settings(max_examples=6)
@given(
    judged=st.lists(st.tuples(*[_JUDGEMENT] * 4), min_size=len(_PAGES), max_size=len(_PAGES)),
    order=st.permutations(range(len(_PAGES))),
    wants=_JUDGEMENT,
    threshold=st.sampled_from([0.2, 0.5, 0.8]),
)
def test_self_reflection(server, judged, order, wants, threshold):
    # No two pages are equally good: what one is useful differs by less than a judgement.
    opinions = {
        page_id: (f"draft {number} about {page_id.split('#')[0]}", *before, useful + order[number] / 1000)
        for number, (page_id, (*before, useful)) in enumerate(zip(_PAGES, judged, strict=True))
    }

    def say(request):
        prompt = prompt_of(request)
        if "Must one look" in prompt:
            return yes(wants)
        if "Is this a useful" in prompt:
            text = prompt.split("Answer: ")[1].split("\n")[0]
            return yes(next(opinion[4] for opinion in opinions.values() if opinion[0] == text))
        if "[" not in prompt:
            return "From memory."
        text, likely, relevant, supported, _ = opinions[prompt.split("[")[1].split("]")[0]]
        if not asks_yes_or_no(request):
            return said([[(word, likely) for word in text.split()]])
        return yes(relevant if "relevant" in prompt else supported)

    server.say = say
    found = queries(server.play("self-reflection", supported=threshold))

    searched, seen, query = [], frozenset[str](), QUESTION.text
    while wants > 0.2 and len(searched) < BUDGET:
        searched.append(query)
        [ranking] = blocking(shared_index().retriever.search([Query(text=query, without=seen)], CONFIG.top_k))
        seen |= {hit.page_id for hit in ranking.hits}
        drafts = [opinions[hit.page_id] for hit in ranking.hits]
        if not drafts:
            break
        best = max(drafts, key=lambda draft: sum(draft[1:]))
        if best[3] > threshold:
            break
        query = f"{QUESTION.text} {best[0]}"
    assert found == searched


# Speculative RAG: drafts from subsets with one page of each cluster; best by log P(draft | question) + log P(yes).


def test_speculative_rag_takes_the_draft_that_the_verifier_believes_most(server):
    asked: dict[str, list] = {"drafts": [], "scored": []}
    scores = {"one": (-9.0, 0.9), "two": (-4.0, 0.5), "three": (-4.0, 0.6), "four": (-5.0, 0.9)}
    names = iter(scores)

    def say(request):
        prompt = prompt_of(request)
        if request.get("prompt_logprobs") is not None:
            assert request["continue_final_message"] and not request["add_generation_prompt"]
            assert request["model"] == "large" and "[" not in prompt  # it reads no page
            text = request["messages"][1]["content"]
            total, _ = scores[text.split("Answer: ")[1]]
            asked["scored"].append(text)
            # Six tokens of the question, the first of which has no probability, and two of the draft.
            return Said(text="", prompt_log_probs=(-7.0, *[-1.0] * 4, total / 2, total / 2))
        if asks_yes_or_no(request):
            return yes(next(p for name, (_, p) in scores.items() if f"Answer: {name}" in prompt))
        if request["max_tokens"] == 1:
            return Said(text="", prompt_tokens=6)
        asked["drafts"].append(prompt)
        name = next(names)
        return f"Rationale: the pages say {name}.\nAnswer: {name}"

    server.say = say
    trajectory = server.play("speculative-rag", verifier="large", drafts=9)
    assert queries(trajectory) == [QUESTION.text] * BUDGET  # one search, read on to the budget
    best = max(scores, key=lambda name: scores[name][0] + log(scores[name][1]))
    assert best == "three" and trajectory.outcome.answer.text.startswith("three [")
    assert all(prompt.count("\n[") == 2 for prompt in asked["drafts"]) and len(set(asked["drafts"])) == 4
    # Four drafts of two pages are as many as nine pages allow.
    uses = {use.model: use.calls for use in trajectory.uses}
    assert uses == {"m": 4, "large": 1 + 2 * 4}
