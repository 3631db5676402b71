"""The report in a real browser: what it shows, by mouse and keys."""

from __future__ import annotations

from statistics import median

import pytest
import trajectory_lab as lab
from browser_lab import NO_OVERFLOW, look, report
from driven import Driven
from playwright.sync_api import Page, expect
from view_samples import GENERATED, results_of, write_run, write_trajectories

from drag_rl.corpus.ingest import ReadOptions, ingest_pdfs
from drag_rl.episode import EpisodeConfig
from drag_rl.types import Trajectory

pytestmark = pytest.mark.slow

UNNAMED = """() => [...document.querySelectorAll('button, input, select, [role=listbox]')]
    .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length))
    .map((e) => e.outerHTML)"""


def shown(page: Page) -> str:
    return page.inner_text("#count")


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    return report(folder / "r.html", write_trajectories(folder / "t.jsonl", 6), title="six questions")


def test_the_summary_says_nothing_of_answers_where_none_was_asked_for(browser, small, tmp_path):
    page, _ = look(browser, small)
    assert "answered" in page.inner_text("#summary").lower()
    episode = Driven(lab.QUESTIONS[0], lab.shared_index(), EpisodeConfig(max_turns=2, answer=False))
    episode.commit(episode.step(lab.search("seal"), "stop"))
    assert episode.step(lab.search("seal"), "stop") == "max_turns"
    path = lab.write(tmp_path / "t.jsonl", [Trajectory(outcome=episode.outcome())])
    page, seen = look(browser, report(tmp_path / "r.html", path))
    assert "answered" not in page.inner_text("#summary").lower() and not seen.said


def test_filters_narrow_down_and_count(browser, small):
    page, seen = look(browser, small)
    assert shown(page) == "24 trajectories"
    chip = lambda value: page.locator(f'.chip[data-value="{value}"]')  # noqa: E731
    assert chip("found").inner_text().split() == ["found", "12"]
    chip("found").click()
    assert shown(page) == "12 of 24" and chip("found").get_attribute("aria-pressed") == "true"
    assert chip("1").inner_text().split() == ["1", "6"] and chip("unranked").inner_text().split() == [
        "unranked",
        "0",
    ]
    chip("2\u20133").click()
    assert shown(page) == "6 of 24"
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert shown(page) == "6 of 24", "filters survive a reload"
    page.locator(".detail").click(position={"x": 4, "y": 4})
    page.keyboard.press("x")
    assert shown(page) == "24 trajectories"
    chip("out of turns").click()
    assert shown(page) == "6 of 24"
    page.keyboard.press("x")
    page.get_by_label("Data source", exact=True).select_option(label="outline (8)")
    assert shown(page) == "8 of 24"
    page.keyboard.press("x")
    page.get_by_label("Turns", exact=True).select_option(label="3 (12)")
    assert shown(page) == "12 of 24"
    page.keyboard.press("x")
    page.fill("#text", 'rotor "brake q3"')
    assert shown(page) == "4 of 24"
    page.fill("#text", "")
    page.get_by_label("Sort", exact=True).select_option("gold rank")
    page.locator("#list").focus()
    page.keyboard.press("Home")
    assert page.locator('.row[aria-posinset="1"] .rank').inner_text() == "rank 1"
    page.locator("#direction").click()
    page.locator("#list").press("Home")
    assert page.locator('.row[aria-posinset="1"] .rank').inner_text() == "unranked"
    assert seen.said == []
    page.close()


def test_the_keyboard_does_it_all(browser, small):
    page, seen = look(browser, small)
    press = page.keyboard.press
    selected = lambda: page.locator('.row[aria-selected="true"]').get_attribute("aria-posinset")  # noqa: E731
    assert selected() == "1"
    for key, wanted in (
        ("j", "2"),
        ("ArrowDown", "3"),
        ("k", "2"),
        ("]", "3"),
        ("[", "2"),
        ("ArrowUp", "1"),
        ("k", "1"),
    ):
        press(key)
        assert selected() == wanted, key
    press("/")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("rotor 4 jk")
    assert page.input_value("#text") == "rotor 4 jk", "letters are text in the search"
    page.fill("#text", "rotor 4")
    press("Enter")
    assert page.evaluate("document.activeElement.id") == "list"
    press("End")
    assert selected() == "4"
    assert page.locator("#list").get_attribute("aria-activedescendant") == page.locator(
        '.row[aria-selected="true"]'
    ).get_attribute("id")
    press("?")
    expect(page.locator("#help")).to_be_visible()
    press("j")
    assert selected() == "4", "keys rest while a dialog is open"
    press("Escape")
    expect(page.locator("#help")).to_be_hidden()
    press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    unnamed = page.evaluate(UNNAMED)
    assert unnamed == []
    assert seen.said == []
    page.close()


def test_an_end_by_enough_names_the_pages_that_it_keeps(browser, tmp_path):
    config = EpisodeConfig(think=False, answer=False, enough=True)
    episode = Driven(lab.QUESTIONS[0], lab.shared_index(), config)
    episode.commit(episode.step(lab.search("impeller"), "stop"))
    assert episode.step("<enough>[pumps#1; pumps#2; made-up#9]</enough>", "stop") == "enough"
    path = lab.write(tmp_path / "t.jsonl", [Trajectory(outcome=episode.outcome())], config)
    page, seen = look(browser, report(tmp_path / "r.html", path))
    page.locator(".row").first.click()
    last = page.locator("#detail li.turn.enough")
    kept = [mark.get_attribute("title") for mark in last.locator(".cite").all()]
    assert kept == ["gold page", "not a gold page", "not a gold page, and never shown"]
    assert "keeps" in last.inner_text().lower() and "enough" in page.locator(".row").first.inner_text()
    page.screenshot(path=tmp_path / "enough.png")
    assert not seen.said and not page.evaluate(NO_OVERFLOW)


def test_a_trajectory_shows_its_turns_citations_and_group(browser, small):
    page, _ = look(browser, small, place="#r=1")
    turns = page.locator(".turn")
    assert turns.locator("header b").all_inner_texts() == ["search", "search", "answer"]
    assert page.locator(".turn .query .prose").all_inner_texts() == ["rotor brake q0 1", "rotor brake q0 2"]
    assert page.locator(".turn").nth(1).locator(".hit.gold .rank").inner_text() == "2"
    assert page.locator(".gold-rank .rank").all_inner_texts() == ["7", "2"]
    cites = page.locator(".cite")
    assert cites.nth(0).get_attribute("class") == "cite right"
    assert cites.nth(1).get_attribute("class") == "cite wrong" and "never shown" in cites.nth(1).inner_text()
    members = page.locator("button.member")
    assert members.count() == 4
    values = [text.split()[0] for text in members.locator(".pair:nth-child(2)").all_inner_texts()]
    gains = [text.split()[0] for text in members.locator(".pair:nth-child(3)").all_inner_texts()]
    assert values == ["1.00", "0.67", "0.00", "0.00"] and gains == [
        "+1.17",
        "+0.50",
        "\u22120.83",
        "\u22120.83",
    ]
    members.nth(2).click()
    assert page.locator(".member.current .index").inner_text() == "3"
    page.close()


def test_a_narrow_screen_shows_the_list_or_a_trajectory(browser, small):
    page, _ = look(browser, small, width=400)
    expect(page.locator("#detail")).to_be_hidden()
    page.locator(".row").nth(2).click()
    expect(page.locator("#list")).to_be_hidden()
    assert page.evaluate(NO_OVERFLOW) == []
    page.locator(".back").click()
    expect(page.locator("#list")).to_be_visible()
    page.close()


def test_a_run_has_curves_that_keys_can_read(tmp_path, browser):
    path = report(tmp_path / "run.html", write_run(tmp_path / "run", steps=5))
    page, seen = look(browser, path)
    page.keyboard.press("c")
    panels = page.locator(".panel")
    expect(panels.first).to_be_visible()
    assert panels.locator("h3").all_inner_texts()[:3] == ["Reward", "Rank score", "Hit@1"]
    drawing = panels.nth(3).locator("svg")
    assert "training: 2.5 at step 1" in drawing.get_attribute("aria-label")
    drawing.focus()
    page.keyboard.press("ArrowLeft")
    assert panels.nth(3).locator(".now").inner_text().split() == ["step", "4", "2.5"]
    panels.nth(3).locator("summary").click()
    expect(panels.nth(3).locator("tbody tr")).to_have_count(6)
    page.keyboard.press("c")
    assert "step 1" in page.locator(".row").first.inner_text()
    page.get_by_label("Step", exact=True).select_option(label="5 (10)")
    assert page.locator(".others .chip").count() > 0, "the same question in other steps"
    assert seen.said == []
    page.close()


def test_pages_have_pictures_gold_ones_outlined(tmp_path, browser, pdf_dir):
    ingest_pdfs(pdf_dir, tmp_path / "pages", ReadOptions(), dpi=96, workers=1)
    path = report(tmp_path / "r.html", write_trajectories(tmp_path / "t.jsonl", 2), pages=tmp_path / "pages")
    page, seen = look(browser, path)
    pictures = page.locator(".turn .hit .thumb img")
    assert pictures.count() == 3
    assert page.evaluate("document.querySelector('.hit .thumb img').decode().then(() => true)")
    gold = page.locator(".hit.gold .thumb")
    assert gold.count() == 1
    border = "getComputedStyle(document.querySelector('.hit.gold')).borderColor"
    assert page.evaluate(border) == "rgb(221, 154, 18)"
    gold.click()
    expect(page.locator("#picture img")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#picture")).to_be_hidden()
    assert seen.said == [] and all(url.startswith(("file:", "data:")) for url in seen.requests)
    page.close()


def test_two_thousand_trajectories_are_quick(tmp_path, browser, record_property):
    path = report(tmp_path / "big.html", write_trajectories(tmp_path / "t.jsonl", 500))
    page, seen = look(browser, path)
    assert shown(page) == "2,000 trajectories"
    assert page.locator(".row").count() < 60, "only the rows in sight are drawn"
    page.wait_for_timeout(1000)
    for text in ("rotor", "brake q4", '"rotor 77"', "nothing like it", "engine#2", ""):
        page.fill("#text", text)
    page.locator('.chip[data-value="found"]').click()
    page.get_by_label("Sort", exact=True).select_option("question")
    times = page.evaluate("performance.getEntriesByName('filter').map((entry) => entry.duration)")
    load = page.evaluate("performance.getEntriesByType('navigation')[0].domInteractive")
    record_property("load_ms", round(load))
    record_property("filter_ms", round(median(times), 1))
    assert median(times) < 100, times
    page.evaluate("document.getElementById('list').scrollTop = 1e6")
    page.wait_for_timeout(100)
    assert page.locator(".row").last.get_attribute("aria-posinset") == "1000"
    assert seen.said == []
    page.close()


def test_a_generators_answer_is_read_below_the_searches(browser, tmp_path):
    page, seen = look(browser, report(tmp_path / "r.html", results_of(tmp_path, generated=GENERATED)))
    part = page.locator(".generated")
    expect(part.locator("h3")).to_contain_text("given 2 pages")
    expect(part.locator("div.turn .answer")).to_have_text(GENERATED.text)
    expect(part.locator(".cite").last).to_contain_text("never given")
    expect(page.locator(".scores")).to_contain_text("Generator Citation Recall")
    page.screenshot(path=tmp_path / "generated.png", full_page=True)
    assert not seen.said and page.evaluate(NO_OVERFLOW) == []
