"""Answers in scripts without spaces are compared by their characters."""

from __future__ import annotations

import pytest

from drag_rl.metrics.answers import contains, exact_match, token_f1


@pytest.mark.parametrize("gold", ["東京", "Tokyo", "서울", "กรุงเทพ"])
def test_an_answer_without_spaces_is_compared_by_its_characters(gold: str) -> None:
    """As in the measures of CMRC 2018, MLQA and KorQuAD: a clause is no word."""
    assert exact_match(f" {gold}。", [gold]) == 1 and exact_match(f"{gold}x", [gold]) == 0
    clause = f"首都は{gold}です。" if gold != "Tokyo" else "首都は Tokyo です。"
    assert contains(clause, [gold]) == 1
    assert 0 < token_f1(clause, [gold]) < 1


def test_characters_in_common_count_as_words_do() -> None:
    assert token_f1("東京都", ["東京"]) == pytest.approx(0.8)
    assert contains("京東", ["東京"]) == 0
