"""Stop-word lists by language code."""

from __future__ import annotations

from bm25s import stopwords

STOPWORDS: dict[str, tuple[str, ...]] = {
    "none": (),
    "en": stopwords.STOPWORDS_EN,
    "en_plus": stopwords.STOPWORDS_EN_PLUS,
    "da": stopwords.STOPWORDS_DANISH,
    "de": stopwords.STOPWORDS_GERMAN,
    "es": stopwords.STOPWORDS_SPANISH,
    "fr": stopwords.STOPWORDS_FRENCH,
    "it": stopwords.STOPWORDS_ITALIAN,
    "ko": stopwords.STOPWORDS_KOREAN,
    "nl": stopwords.STOPWORDS_DUTCH,
    "no": stopwords.STOPWORDS_NORWEGIAN,
    "pt": stopwords.STOPWORDS_PORTUGUESE,
    "ru": stopwords.STOPWORDS_RUSSIAN,
    "sv": stopwords.STOPWORDS_SWEDISH,
    "tr": stopwords.STOPWORDS_TURKISH,
    "zh": stopwords.STOPWORDS_CHINESE,
}
"""``en`` is the short list of Lucene; ``en_plus`` has question words and other function words too."""
