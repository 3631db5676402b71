"""The web page of ``drag agent`` as readers use it: a real Chromium, a real agent, a small index of printed pages."""

from __future__ import annotations

import json
import re
import threading

import pytest
import trajectory_lab as lab
from fake_openai import Failure
from page_lab import (
    MARKUP,
    PWN,
    QUESTION,
    ask,
    barriers,
    held,
    in_flight,
    reading,
    ready,
    searches_once,
    searches_twice,
    serving,
    wait_idle,
)
from playwright.sync_api import expect

pytestmark = pytest.mark.slow


def test_searches_are_watched_as_they_happen_and_citations_open_their_page(data, browser, tmp_path):
    gate = threading.Event()
    with serving(data, small=held(searches_twice, gate)) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        assert "7 pages, searched by small, answered by large" in page.locator("#about").inner_text()
        ask(page)
        searches = page.locator("#searches > li")
        expect(searches.nth(0).locator(".hit").first).to_contain_text("manuals/pump, page 2")
        expect(searches).to_have_count(1)
        assert set(searches.nth(0).locator("mark").all_inner_texts()) >= {"shaft", "seal"}
        assert "reads on" in page.get_by_role("status").inner_text()
        assert page.locator("#answer").is_hidden() and in_flight(url) == 1
        gate.set()
        answer = page.get_by_role("region", name="Answer")
        expect(answer.locator("p").first).to_have_text(
            "Every 2000 hours [1], sooner with sand [1]; a labyrinth differs [2]."
        )
        expect(searches).to_have_count(2)
        expect(page.get_by_role("status")).to_contain_text("2 cited pages")
        page.screenshot(path=tmp_path / "answered.png", full_page=True)

        answer.get_by_role("link", name="Source 1: manuals/pump, page 2").first.click()
        sheet = page.get_by_role("region", name="manuals/pump, page 2")
        expect(sheet.locator(".passage").first).to_be_visible()  # the text comes after the sheet
        assert "2000 hours" in " ".join(sheet.locator(".passage").all_inner_texts())
        assert {text.lower() for text in sheet.locator("mark").all_inner_texts()} >= {"shaft", "seal"}
        expect(sheet.get_by_role("img", name="Image of manuals/pump, page 2")).to_be_visible()
        assert sheet.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 300
        page.screenshot(path=tmp_path / "page.png")
        assert page.locator("#page-title").evaluate("title => title === document.activeElement")
        page.keyboard.press("Escape")
        assert (
            page.evaluate("document.activeElement.getAttribute('aria-label')")
            == "Source 1: manuals/pump, page 2"
        )
        assert not reader.said and sum("completions" in address for address in reader.requests) == 1


def test_a_long_page_opens_at_what_was_found(data, browser):
    say = {
        "small": searches_once("seal gland packing"),
        "large": lambda _: "See [manuals/pump#3].",
    }
    with serving(data, **say) as url, reading(browser, url, height=700) as reader:
        page = ready(reader.page)
        ask(page, "What holds the packing?")
        page.get_by_role("link", name="Source 1").first.click()
        expect(page.locator("#page-text .passage").get_by_text("gland")).to_be_visible()
        assert page.locator("#page-text").evaluate(
            """text => {
                const [box, found] = [text, text.querySelector('.passage')].map((e) => e.getBoundingClientRect());
                return text.scrollTop > 0 && box.top <= found.top && found.top < box.bottom;
            }"""
        )


def test_earlier_questions_are_told_again_without_asking(data, browser):
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    with serving(data) as url:
        with reading(browser, url, context=context) as reader:
            ask(ready(reader.page))
            expect(reader.page.get_by_role("status")).to_contain_text("Answered")
        with reading(browser, url, context=context) as reader:
            page = ready(reader.page)
            earlier = page.get_by_role("navigation", name="Earlier questions")
            earlier.get_by_role("button", name=QUESTION).click()
            expect(page.get_by_role("region", name="Answer")).to_contain_text("Every 2000 hours [1]")
            expect(page.locator("#searches .hit").first).to_contain_text("manuals/pump, page 2")
            assert not any("completions" in address for address in reader.requests)
            page.get_by_role("link", name="Source 2: manuals/turbine, page 2").click()
            expect(page.locator("#page-text")).to_contain_text("labyrinth seal has no contact")
            forget = earlier.get_by_role("button", name="Forget them all")
            forget.click()
            assert page.evaluate("localStorage.length") == 1, "it asks first"
            earlier.get_by_role("button", name="Really forget them all?").click()
            assert page.evaluate("localStorage.length") == 0 and earlier.is_hidden()
    context.close()


def test_cancel_ends_the_question_at_the_agent(data, browser):
    gate = threading.Event()
    with serving(data, small=held(searches_twice, gate)) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        cancel = page.get_by_role("button", name="Cancel")
        for end in (cancel.click, lambda: page.get_by_label("Your question").press("Escape")):
            assert cancel.is_disabled()
            ask(page)
            expect(page.locator(".hit").first).to_be_visible()
            assert in_flight(url) == 1
            end()
            expect(page.get_by_role("status")).to_have_text("Cancelled.")
            assert wait_idle(url) and page.evaluate("document.activeElement.id") == "question"
        ask(page)
        expect(page.locator(".hit").first).to_be_visible()
        ask(page, "And the nozzle?")  # a second question ends the first
        expect(page.get_by_role("heading", name="And the nozzle?")).to_be_visible()
        gate.set()
        expect(page.get_by_role("status")).to_contain_text("Answered")
        assert wait_idle(url)
        kept = [told["failure"] for told in json.loads(page.evaluate("localStorage['drag.questions']"))]
        assert kept == ["", "Cancelled.", "Cancelled.", "Cancelled."] and not reader.said


def test_an_earlier_question_ends_the_one_that_is_being_answered(data, browser):
    gate = threading.Event()
    gate.set()
    with serving(data, small=held(searches_twice, gate)) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        ask(page)
        expect(page.get_by_role("status")).to_contain_text("Answered")
        gate.clear()
        ask(page, "And the nozzle?")
        expect(page.locator(".hit").first).to_be_visible()
        page.get_by_role("navigation").get_by_role("button", name=QUESTION).click()
        expect(page.get_by_role("status")).to_contain_text("Answered")
        expect(page.get_by_role("navigation").get_by_text("not answered")).to_be_visible()
        gate.set()
        assert wait_idle(url) and page.locator("#asked").inner_text() == QUESTION
        expect(page.get_by_role("status")).to_contain_text("Answered")
        assert not reader.said


def test_where_nobody_answers_the_pages_are_listed(data, browser):
    only = lab.PLAIN.model_copy(update={"answer": False, "max_turns": 1})
    with serving(data, large=None, episode=only) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        ask(page)
        expect(page.get_by_role("status")).to_contain_text("pages found")
        region = page.get_by_role("region", name="Pages found")
        region.get_by_role("link", name="manuals/pump, page 2").click()
        expect(page.locator("#page-text")).to_contain_text("2000 hours")
        assert not reader.said


def test_a_token_is_asked_for_once_in_a_tab(data, browser):
    with serving(data, token="secret") as url, reading(browser, url) as reader:
        page = reader.page
        dialog = page.get_by_role("dialog", name="This agent wants a token")
        expect(dialog).to_be_visible()
        assert barriers(page) == []
        dialog.get_by_label("Token").fill("guessed")
        dialog.get_by_role("button", name="Go on").click()
        expect(dialog.get_by_role("alert")).to_have_text("The agent does not take this token.")
        dialog.get_by_label("Token").fill("secret")
        page.keyboard.press("Enter")
        ready(page)
        expect(dialog).to_be_hidden()
        page.reload()
        ask(ready(page))
        expect(page.get_by_role("status")).to_contain_text("Answered")
        page.get_by_role("link", name="Source 1").first.click()
        expect(page.get_by_role("img", name="Image of manuals/pump, page 2")).to_be_visible()
        kept = page.evaluate("[sessionStorage['drag.token'], JSON.stringify({...localStorage})]")
        assert kept[0] == "secret" and "secret" not in kept[1]


def test_hostile_pages_and_answers_do_nothing(data, browser):
    def repeats(_):
        return f"{MARKUP} \u202egnp.exe [hostile#1] **bold** [x](javascript:{PWN})"

    context = browser.new_context(viewport={"width": 1500, "height": 900})
    with (
        serving(data, small=searches_once(f"gasket {MARKUP}"), large=repeats) as url,
        reading(browser, url, context=context) as reader,
    ):
        page = ready(reader.page)
        ask(page, f"Where is the gasket? {MARKUP}")
        expect(page.get_by_role("status")).to_contain_text("Answered")
        expect(page.locator("#answer-text")).to_contain_text(f"<script>{PWN}</script>")
        expect(page.locator("#answer-text")).to_contain_text("\ufffdgnp.exe [1] **bold**")
        page.get_by_role("link", name="Source 1: hostile, page 1").first.click()
        expect(page.locator("#page-text")).to_contain_text(f"<script>{PWN}</script>")
        page.get_by_role("button", name=re.compile("Where is the gasket")).click()
        assert page.evaluate("window.pwned") is None and not reader.said
        assert (
            page.locator(
                "main img, main script, a[href^=javascript], #page-text *:not(mark):not(span)"
            ).count()
            == 0
        )
        page.evaluate("localStorage['drag.questions'] = '[{\"question\": 1}, 2, null]'")
        page.reload()
        ready(page)
        assert page.get_by_role("navigation").is_hidden(), "what is no question is none"
        assert not reader.said
    context.close()


def test_failures_are_one_line(data, browser):
    failing = {"large": lambda _: Failure(status=500, message="out of memory")}
    with serving(data, **failing) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        ask(page)
        expect(page.locator("#failure")).to_contain_text("a model's server failed")
        assert "\n" not in page.locator("#failure").inner_text()
        assert page.locator("#searches > li").count() == 2, "what was found stays"
        assert barriers(page) == []


def test_barriers_would_be_found(browser):
    page = browser.new_page()
    page.set_content(
        "<html lang=en><title>x</title><main><h1>x</h1><img src='data:,'><input><p style='color: #aaa'>faint"
    )
    assert {rule for rule, _ in barriers(page)} >= {"image-alt", "label", "color-contrast"}
    page.close()


def test_an_agent_that_has_gone_is_told(data, browser):
    context = browser.new_context(viewport={"width": 1500, "height": 900})
    page = context.new_page()
    with serving(data) as url:
        page.goto(f"{url}/")
        ready(page)
    ask(page)
    expect(page.locator("#failure")).to_have_text("The agent cannot be reached; is it still running?")
    context.close()


def test_all_of_it_works_by_the_keyboard(data, browser):
    with serving(data) as url, reading(browser, url) as reader:
        page = ready(reader.page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the question"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab") if page.evaluate("document.activeElement.id") != "question" else None
        page.keyboard.type("When must the seal")
        page.keyboard.press("Shift+Enter")
        page.keyboard.type("be replaced?")
        page.keyboard.press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Answered")
        reached = []
        for _ in range(40):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent"
                )
            )
            if reached[-1].startswith("Source 2"):
                break
        assert reached[0] == "Ask" and reached[-3:-1] == ["Source 1: manuals/pump, page 2"] * 2
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        expect(page.locator("#page-text")).to_contain_text("labyrinth")
        assert page.evaluate("document.activeElement.id") == "page-title"
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")  # Back
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Source 2")


UNNAMED = """() => [...document.querySelectorAll('button, a, input, textarea, section, nav, dialog, img')]
    .filter((e) => e.checkVisibility() && !(e.textContent.trim() || e.ariaLabel || e.alt || e.labels?.length))
    .map((e) => e.outerHTML)"""
WIDER = """() => [document.documentElement, ...document.querySelectorAll('body *')]
    .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).display !== 'inline'
        && !['hidden', 'auto'].includes(getComputedStyle(e).overflowX))
    .map((e) => `${e.tagName}#${e.id}.${e.className}: ${e.scrollWidth} in ${e.clientWidth}`)"""


@pytest.mark.parametrize(
    ("width", "scheme"), [(1900, "light"), (1500, "dark"), (750, "light"), (360, "dark"), (320, "light")]
)  # 750 is a screen of 1500 at 200 %
def test_nothing_is_cut_or_unnamed_at_any_width(data, browser, tmp_path, width, scheme):
    with serving(data) as url, reading(browser, url, width=width, scheme=scheme) as reader:
        page = ready(reader.page)
        ask(page, f"{QUESTION} {'W' * 300}")
        expect(page.get_by_role("status")).to_contain_text("Answered")
        page.screenshot(path=tmp_path / "answer.png", full_page=True)
        page.get_by_role("link", name="Source 1").first.click()
        expect(page.get_by_role("img", name="Image of")).to_be_visible()
        assert page.locator("#page-title").evaluate(
            "title => { const box = title.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight; }"
        )
        page.screenshot(path=tmp_path / "page.png", full_page=True)
        assert page.evaluate(WIDER) == [] and page.evaluate(UNNAMED) == [] and barriers(page) == []
