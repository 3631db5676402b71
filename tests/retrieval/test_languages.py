"""A part of a sentence finds its page, in whatever language and however it is typed."""

# ruff: noqa: RUF001  (letters that look alike are what languages are made of)

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest
from tiny_corpus import Searching, index_of

from drag_rl.errors import InputError
from drag_rl.retrieval import build_index
from drag_rl.retrieval.index_folder import FORMAT
from drag_rl.types import query_key

PAGES = {
    "de": "Vor der Installation sollten Sie Ihre Daten sichern; Größe und Lage der Partitionen bleiben erhalten.",
    "fr": "Avant l'installation, sauvegardez vos données ; les réglages du système de fichiers sont conservés.",
    "ru": "Перед установкой сделайте резервную копию данных; разделы жёсткого диска сохраняются.",
    "zh": "中华人民共和国的首都是北京。安装之前请备份所有数据。",
    "zh_TW": "安裝之前請備份資料；硬碟分割區會保留。",
    "ja": "東京は日本で最も大きい都市です。インストールの前にデータをバックアップしてください。",
    "ko": "설치하기전에데이터를백업하십시오. 대한민국의 수도는 서울이다.",
    "th": "กรุงเทพมหานครเป็นเมืองหลวงของประเทศไทย ควรสำรองข้อมูลก่อนติดตั้ง",
    "hi": "भारत की राजधानी दिल्ली है और हिन्दी वहाँ बोली जाती है।",
    "fa": "پیش از نصب از داده‌ها نسخهٔ پشتیبان بگیرید.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Searching:
    texts = [*PAGES.values(), "An English page about something else altogether."]
    return index_of(tmp_path_factory.mktemp("languages"), texts, stemmer="none", stopwords="none")


@pytest.mark.parametrize(
    ("language", "query"),
    [
        ("de", "größe der partitionen"),
        ("fr", "RÉGLAGES du système"),
        ("ru", "резервную копию"),
        ("zh", "首都"),
        ("zh", "北京在哪里？"),
        ("zh", "备份"),
        ("zh", "华"),
        ("zh_TW", "硬碟"),
        ("ja", "東京"),
        ("ja", "バックアップ"),
        ("ja", "ﾊﾞｯｸｱｯﾌﾟ"),
        ("ja", "データ バックアップ"),
        ("ko", "설치하기 전에 데이터 백업"),  # the page's spaces are lost, as in PDFs
        ("ko", "서울"),
        ("th", "เมืองหลวง"),
        ("th", "ข้อมูล"),
        ("hi", "दिल्ली"),
        ("fa", "پشتیبان"),
    ],
)
def test_a_part_of_a_sentence_finds_its_page(index: Searching, language: str, query: str) -> None:
    page_id = f"doc#{list(PAGES).index(language) + 1}"
    for typed in (unicodedata.normalize(form, query) for form in ("NFC", "NFD")):
        assert index.search(typed, 1, [page_id]).gold_ranks == (1,), typed


def test_a_query_is_normalised_as_pages_are(tmp_path: Path) -> None:
    index = index_of(tmp_path, ["the café closes", "the office opens"])
    composed, decomposed = (index.search(f"cafe{accent}", 2) for accent in ("\u0301", "\u0301\x00"))
    assert [hit.page_id for hit in composed.hits] == ["doc#1"] and decomposed == composed
    assert query_key("cafe\u0301") == query_key("CAF\u00c9")


def test_a_snippet_of_a_clause_shows_what_was_searched(tmp_path: Path) -> None:
    filler = "这里没有任何相关的内容而且一直没有空格" * 40
    index = index_of(tmp_path, [f"{filler}首都是北京{filler}", filler], stemmer="none", stopwords="none")
    (hit,) = index.search("首都", 1, snippet_chars=40).hits
    before, _, after = hit.snippet.partition("首都")
    assert len(hit.snippet) == 40 and min(len(before), len(after)) >= 10


@pytest.mark.parametrize(("language", "word"), [("zh", "我们"), ("ko", "그리고")])
def test_stop_words_are_no_terms(tmp_path: Path, language: str, word: str) -> None:
    index = index_of(tmp_path, [f"{word}。", PAGES[language]], stopwords=language, stemmer="none")
    assert index.search(word, 2).hits == ()


def test_an_index_of_an_older_version_is_refused_and_built_anew(tmp_path: Path) -> None:
    index_of(tmp_path, [PAGES["zh"]])
    path = tmp_path / "index" / "manifest.json"
    manifest = json.loads(path.read_text())
    assert manifest["config"].pop(FORMAT)
    path.write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"older version.*run drag index again"):
        Searching.load(tmp_path / "index")
    assert build_index(tmp_path / "pages", tmp_path / "index")[1]
    assert Searching.load(tmp_path / "index").search("首都", 1).hits
