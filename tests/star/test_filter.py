"""``drag filter``: every trajectory is kept or counted, each rule drops what it names, the numbers are the seeds'."""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
import trajectory_lab as lab
from hypothesis import given, settings
from hypothesis import strategies as st

from drag_rl.episode import EpisodeConfig
from drag_rl.errors import InputError
from drag_rl.files.manifest import read_manifest
from drag_rl.star.filter import filter_trajectories
from drag_rl.star.rules import RULES, Limits, select_rules
from drag_rl.trajectories.rows import read_trajectories
from drag_rl.types import StopReason

DEFAULT = select_rules("default")
PUMPS = lab.QUESTIONS[0]
INDEX = lab.make_index(Path(tempfile.mkdtemp()))
SECOND = next(
    query
    for query in (f"{word} {word} impeller" for word in lab.WORDS)
    if INDEX.search(query, 3, gold_page_ids=("pumps#1",), snippet_chars=0).gold_ranks[0] == 2
)
"""A query that ranks the gold page second."""


def tidy(texts, config=lab.PLAIN, question=PUMPS, **fields):
    return lab.played(INDEX, question, texts, config, **fields)


def run(folder, trajectories, rules=DEFAULT, **options):
    source = lab.write(folder / "trajectories.jsonl", trajectories)
    statistics, manifest = filter_trajectories(
        [source], folder / "processed.jsonl", folder / "stats.json", rules=rules, **options
    )
    assert json.loads((folder / "stats.json").read_text()) == statistics.to_dict()
    kept = list(read_trajectories(folder / "processed.jsonl"))
    return kept, statistics, manifest


MAY_STOP = lab.PLAIN.model_copy(update={"enough": True})
GOOD = [lab.search("impeller"), lab.answer("It needs care [pumps#1].")]
FAILS = {
    "no_error": lambda: replace_outcome(tidy(GOOD), stop_reason=StopReason.ERROR),
    "searched": lambda: tidy([lab.answer("No idea.")]),
    "gold_found": lambda: tidy([lab.search("zebra")]),
    "well_formed": lambda: tidy([GOOD[0], "What?"]),
    "no_duplicate_query": lambda: tidy(
        [lab.search("care impeller"), lab.search("Impeller care"), lab.answer("See [pumps#1].")]
    ),
    "not_cut": lambda: replace_outcome(tidy(GOOD), stop_reason=StopReason.LENGTH),
    "no_hint_copy": lambda: tidy([lab.search(hint_words()), GOOD[1]], hint_page_ids=("pumps#1",)),
    "honest": lambda: tidy(GOOD, hint_page_ids=("pumps#1",)),
    "answered": lambda: tidy([GOOD[0], *map(lab.search, ("seal", "rotor", "gate"))]),
    "cites_gold": lambda: tidy([GOOD[0], lab.answer("It needs care [pumps#2].")]),
    "stopped_well": lambda: tidy(
        GOOD, MAY_STOP, question=replace(PUMPS, gold_page_ids=("pumps#1", "lamps#4"))
    ),
    "no_search_after_enough": lambda: tidy([GOOD[0], lab.search("gate"), GOOD[1]], MAY_STOP),
}
"""Rule -> a trajectory that it drops, though no rule before it in the table does."""


def hint_words():
    return " ".join(INDEX.page("pumps#1").split()[:9])


def replace_outcome(trajectory, **changes):
    return replace(trajectory, outcome=replace(trajectory.outcome, **changes))


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule not in ("unique", "within_length")])
def test_a_rule_drops_what_it_names_and_only_when_it_is_on(tmp_path, rule):
    bad, good = FAILS[rule](), tidy(GOOD, sample=1)
    kept, statistics, _ = run(tmp_path, [bad, good], select_rules("all"))
    assert kept == [good]
    assert {name: count.dropped for name, count in statistics.rules.items() if count.dropped} == {rule: 1}
    kept, statistics, _ = run(tmp_path, [bad, good], (rule,))
    assert (kept, statistics.rules[rule].failed) == ([good], 1)
    others = tuple(name for name in RULES if RULES[name].default and name != rule)
    kept, *_ = run(tmp_path, [bad, good], others)
    assert good in kept
    assert (bad in kept) == (rule not in {"searched"})  # without a search no gold was found


@pytest.mark.parametrize("rule", ["gold_found", "well_formed", "not_cut", "no_duplicate_query"])
def test_what_masks_could_save_is_told(tmp_path, rule):
    _, statistics, _ = run(tmp_path, [FAILS[rule](), tidy(GOOD, sample=1)])
    assert (statistics.filtered, statistics.filtered_for_wasted_turns) == (1, int(RULES[rule].masked))


def test_the_second_row_of_a_sample_is_dropped(tmp_path):
    rows = [tidy(GOOD), tidy(GOOD), tidy(GOOD, sample=1), tidy(GOOD, hint_page_ids=("pumps#2",))]
    kept, statistics, _ = run(tmp_path, rows)
    assert kept == [rows[0], *rows[2:]]
    assert statistics.rules["unique"].dropped == 1


def test_limits_of_turns_and_tokens(tmp_path):
    short, long = tidy(GOOD), tidy([lab.search("seal"), *GOOD], sample=1)
    assert run(tmp_path, [short, long], limits=Limits(max_turns=2))[0] == [short]
    tokens = [generation.prompt_tokens + generation.completion_tokens for generation in short.generations]
    assert run(tmp_path, [short, long], limits=Limits(max_tokens=max(tokens)))[0] == [short]
    assert run(tmp_path, [short, long], limits=Limits(max_turns=3, max_tokens=9999))[0] == [short, long]


def test_fewer_words_in_a_row_can_count_as_a_copy(tmp_path):
    hinted = tidy([lab.search("impeller needs care"), GOOD[1]], hint_page_ids=("pumps#1",))
    assert run(tmp_path, [hinted])[0] == [hinted]
    assert run(tmp_path, [hinted], limits=Limits(copy_words=3))[0] == []
    honest = tidy([lab.search("impeller needs care"), GOOD[1]])
    assert run(tmp_path, [honest], limits=Limits(copy_words=3))[0] == [honest]


@settings(max_examples=40)
@given(
    trajectories=lab.files_of_trajectories(INDEX),
    rules=st.sets(st.sampled_from(list(RULES))),
    above_mean=st.booleans(),
    per_question=st.integers(0, 2),
)
def test_every_trajectory_is_kept_as_it_is_or_counted_once(trajectories, rules, above_mean, per_question):
    rules = tuple(name for name in RULES if name in rules)
    with tempfile.TemporaryDirectory() as folder:
        kept, statistics, manifest = run(
            Path(folder), trajectories, rules, above_mean=above_mean, per_question=per_question
        )
        lines = (Path(folder) / "trajectories.jsonl").read_text().splitlines()
        kept_lines = (Path(folder) / "processed.jsonl").read_text().splitlines()
    iterator = iter(lines)
    assert all(line in iterator for line in kept_lines), "not a subsequence of the input"
    assert statistics.total == len(trajectories) == statistics.valid + statistics.filtered
    assert statistics.valid == len(kept) == sum(statistics.best_rank.values())
    assert statistics.valid == sum(statistics.first_success_step.values())
    assert statistics.filtered == sum(count.dropped for count in statistics.rules.values())
    sources = statistics.data_sources.values()
    assert [sum(getattr(s, n) for s in sources) for n in ("total", "valid", "filtered")] == [
        statistics.total,
        statistics.valid,
        statistics.filtered,
    ]
    for name, count in statistics.rules.items():
        if name in RULES:
            test = RULES[name].build(Limits())
            assert count.failed == sum(not test(trajectory) for trajectory in trajectories)
            test = RULES[name].build(Limits())
            assert all(test(trajectory) for trajectory in kept)
    assert manifest.counts["valid"] == len(kept)
    if per_question:
        ids = [trajectory.outcome.question.question_id for trajectory in kept]
        assert max(map(ids.count, ids), default=0) <= per_question


def test_samples_above_the_mean_are_those_with_a_positive_advantage(tmp_path):
    queries = ["impeller", "impeller", SECOND, "zebra"]  # rank 1, 1, 2, and past the third
    rows = [tidy([lab.search(query)], sample=number) for number, query in enumerate(queries)]
    kept, statistics, _ = run(tmp_path, rows, above_mean=True)
    assert kept == rows[:2]
    assert statistics.rules["above_mean"].dropped == 1 and statistics.rules["gold_found"].dropped == 1
    assert run(tmp_path, rows[2:], above_mean=True)[0] == [rows[2]]
    # The same row twice, and a failed server, say nothing about the policy.
    failed = replace(
        rows[3], sample=4, error="down", outcome=replace(rows[3].outcome, stop_reason=StopReason.ERROR)
    )
    assert run(tmp_path, [rows[0], rows[1], failed, failed], above_mean=True)[0] == []
    alike = [tidy([lab.search("impeller")], sample=number) for number in range(3)]
    assert run(tmp_path, alike, above_mean=True)[0] == []
    assert run(tmp_path, alike)[0] == alike


def test_the_best_samples_are_the_best_ranked_then_the_shortest_then_the_first(tmp_path):
    rows = [
        tidy([lab.search(SECOND)], sample=0),
        tidy([lab.search("zebra"), lab.search("impeller")], sample=1),
        tidy([lab.search("impeller")], sample=2),
        tidy([lab.search("impeller")], sample=3),
    ]
    assert run(tmp_path, rows, per_question=1)[0] == [rows[2]]
    assert run(tmp_path, rows, per_question=2)[0] == rows[2:]
    kept, statistics, _ = run(tmp_path, rows, per_question=3)
    assert kept == rows[1:]
    assert statistics.rules["per_question"].dropped == 1


def test_the_numbers_of_a_small_file(tmp_path):
    rows = [
        tidy(GOOD),
        tidy([lab.search("zebra"), *GOOD], sample=1),
        tidy([lab.search("zebra")], sample=2),
        tidy([lab.search("rotor")], question=lab.QUESTIONS[6]),
        tidy([lab.search("zebra")], question=lab.QUESTIONS[1]),
    ]
    _, statistics, manifest = run(tmp_path, rows)
    found = statistics.to_dict()
    assert (found["total"], found["valid"], found["filtered"]) == (5, 3, 2)
    assert (found["valid_percent"], found["filtered_percent"]) == (60.0, 40.0)
    assert found["first_success_step"] == {"1": 2, "2": 1}
    assert found["best_rank"] == {"1": 3}
    assert (found["questions"], found["questions_valid"]) == (3, 2)
    assert found["data_sources"] == {
        "faq": {"total": 4, "valid": 3, "filtered": 1},
        "outline": {"total": 1, "valid": 0, "filtered": 1},
    }
    assert found["rules"]["gold_found"] == {"dropped": 2, "failed": 2}
    assert manifest.config["episode"] == lab.PLAIN.model_dump(mode="json")
    assert read_manifest(tmp_path / "processed.jsonl") == manifest


def test_several_files_are_filtered_as_one(tmp_path):
    honest = lab.write(tmp_path / "a.jsonl", [tidy(GOOD), tidy(GOOD, sample=1)])
    hinted = lab.write(tmp_path / "b.jsonl", [tidy(GOOD, sample=2, hint_page_ids=("pumps#2",)), tidy(GOOD)])
    out = tmp_path / "processed.jsonl"
    statistics, _ = filter_trajectories([honest, hinted], out, tmp_path / "s.json", rules=DEFAULT)
    assert [t.sample for t in read_trajectories(out)] == [0, 1, 2]
    assert (statistics.hinted, statistics.hinted_valid) == (1, 1)
    other = lab.write(tmp_path / "c.jsonl", [tidy(GOOD)], EpisodeConfig(top_k=5))
    with pytest.raises(InputError, match="another episode setting"):
        filter_trajectories([honest, other], out, tmp_path / "s.json", rules=DEFAULT)


def test_a_file_without_or_unlike_its_manifest_is_told(tmp_path):
    source = lab.write(tmp_path / "t.jsonl", [tidy(GOOD)], None)
    options = {"rules": DEFAULT, "output": tmp_path / "p.jsonl", "stats": tmp_path / "s.json"}
    (problem,) = filter_trajectories([source], **options)[1].problems
    assert "has no manifest" in problem.reason
    source = lab.write(tmp_path / "t.jsonl", [tidy(GOOD)])
    assert not filter_trajectories([source], **options)[1].problems
    source.write_text(source.read_text() * 2)
    (problem,) = filter_trajectories([source], **options)[1].problems
    assert "changed since" in problem.reason


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no trajectory"),
        (b"\n{}\n", "line 2: is no trajectory"),
        (b'{"id": 1', "line 1: is no JSON"),
        (b"[1]\n", "line 1: is no trajectory"),
        (b"\xff\xfe\n", "line 1: is no UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_bad_input_is_named_and_leaves_nothing(tmp_path, content, message):
    source = tmp_path / "trajectories.jsonl"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(InputError, match=message):
        filter_trajectories([source], tmp_path / "p.jsonl", tmp_path / "s.json", rules=DEFAULT)
    assert {path.name for path in tmp_path.iterdir()} <= {source.name}


@pytest.mark.parametrize(
    ("output", "stats", "message"),
    [
        ("x/../t.jsonl", "s.json", "--output .*: would overwrite --input"),
        ("p.jsonl", "t.jsonl", "--stats .*: would overwrite --input"),
        ("p.jsonl", "link.jsonl", "--stats .*: would overwrite --input"),
        ("p.jsonl", "p.jsonl", "--stats .*: would overwrite --output"),
        ("p.jsonl", "p.jsonl.manifest.json", "--stats .*: would overwrite --output"),
        ("p.jsonl", "t.jsonl.manifest.json", "--stats .*: would overwrite --input"),
        ("mine.txt", "s.json", "--output .*: is there, and no manifest says that filter made it"),
        ("p.jsonl", "mine.txt", "--stats .*: is there, and no manifest says that filter made it"),
        ("t.jsonl.manifest.json", "s.json", "--output .*: would overwrite --input"),
    ],
)
def test_nothing_of_the_users_is_overwritten(tmp_path, output, stats, message):
    source = lab.write(tmp_path / "t.jsonl", [tidy(GOOD)], EpisodeConfig())
    (tmp_path / "link.jsonl").hardlink_to(source)
    (tmp_path / "mine.txt").write_text("mine")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(InputError, match=message):
        filter_trajectories([source], tmp_path / output, tmp_path / stats, rules=DEFAULT)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.manifest.json", "stats.json"])
def test_a_kill_before_any_rename_can_be_run_again(tmp_path, monkeypatch, name):
    source = lab.write(tmp_path / "t.jsonl", [tidy(GOOD)])

    def run():
        filter_trajectories([source], tmp_path / "p.jsonl", tmp_path / "stats.json", rules=DEFAULT)
        return {one: (tmp_path / one).read_bytes() for one in ("p.jsonl", "stats.json")}

    rename = Path.replace

    def killed(path, target):
        if Path(target).name == name:
            raise KeyboardInterrupt
        return rename(path, target)

    for _ in range(2):  # a first run, and one over the files of an earlier one
        with monkeypatch.context() as patch:
            patch.setattr(Path, "replace", killed)
            with pytest.raises(KeyboardInterrupt):
                run()
        whole = run()
    assert run() == whole


def test_rules_are_chosen_by_name():
    assert select_rules("default") == tuple(name for name in RULES if RULES[name].default)
    assert select_rules("all, -honest") == tuple(name for name in RULES if name != "honest")
    assert select_rules("") == ()
    with pytest.raises(InputError, match="unknown rule 'gold'; the rules are unique"):
        select_rules("gold")
