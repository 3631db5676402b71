"""The body of ``POST /retrieve``: Search-R1's fields, and ours, which may all be left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, FailFast, Field, ValidationError
from typing_extensions import TypeAliasType

from drag_rl.errors import InputError
from drag_rl.retrieval import Query
from drag_rl.service.limits import Limits

# The first mistake of a list is told: a long list of them would take the service's time.
Texts = TypeAliasType("Texts", Annotated[list[str], FailFast()])
TextsOfEach = TypeAliasType("TextsOfEach", Annotated[list[Texts], FailFast()])
TextOfEach = TypeAliasType("TextOfEach", Annotated[list[str | None], FailFast()])


class RetrieveRequest(BaseModel):
    """What a client sends, as JSON; fields that are not known are ignored, as Search-R1's server does."""

    queries: Texts
    topk: Annotated[int, Field(ge=0)] | None = None
    """Hits of each query; None and 0 mean the service's own number."""
    return_scores: bool = False
    """Whether a hit is ``{"document": {...}, "score": ...}`` or the document alone."""
    track: Texts | TextsOfEach = []
    """Pages whose exact ranks are wanted: one list for all queries, or a list of each."""
    without: Texts | TextsOfEach = []
    """Pages that are left out: one list for all queries, or a list of each."""
    scope: str | TextOfEach | None = None
    """The document to search in: one for all queries, or one of each; null is the whole corpus."""
    snippet_chars: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """How many characters of a page ``contents`` shows, those that fit the query best; null is the whole page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that keeps to the limits."""

    queries: tuple[Query, ...]
    top_k: int
    return_scores: bool
    snippet_chars: int | None
    tells_ranks: bool
    """Whether the answer has the ranks of tracked pages: where ``track`` was given."""


def read_request(body: bytes, limits: Limits, top_k: int) -> Asked:
    """What a body asks for; ``top_k`` is for requests that do not say. Raises ``InputError`` in one line."""
    try:
        request = RetrieveRequest.model_validate_json(body)
    except ValidationError as error:
        raise InputError(_first(error)) from None
    queries, top_k = request.queries, request.topk or top_k
    _check("queries", len(queries), limits.queries)
    _check("topk", top_k, limits.top_k)
    _check("queries times topk", len(queries) * top_k, limits.hits)
    without, track = (_of_each(name, getattr(request, name), len(queries)) for name in ("without", "track"))
    _check("pages in track and without", sum(map(len, without)) + sum(map(len, track)), limits.page_ids)
    scope = request.scope if isinstance(request.scope, list) else [request.scope] * len(queries)
    _check_length("scope", scope, len(queries))
    return Asked(
        queries=tuple(
            Query(text=text, without=frozenset(left_out), scope=document, track=tuple(tracked))
            for text, left_out, document, tracked in zip(queries, without, scope, track, strict=True)
        ),
        top_k=top_k,
        return_scores=request.return_scores,
        snippet_chars=request.snippet_chars,
        tells_ranks="track" in request.model_fields_set,
    )


def _of_each(name: str, value: list[str] | list[list[str]], queries: int) -> list[list[str]]:
    """One list of page ids a query."""
    if not value or isinstance(value[0], str):
        return [value] * queries  # type: ignore[list-item]
    _check_length(name, value, queries)
    return value


def _check(what: str, number: int, limit: int) -> None:
    if number > limit:
        raise InputError(f"{what}: {number} are more than the {limit} of one request")


def _check_length(name: str, value: Sequence[object], queries: int) -> None:
    if len(value) != queries:
        raise InputError(f"{name}: has {len(value)} entries for {queries} queries")


def _first(error: ValidationError) -> str:
    """The first thing that is wrong, in one line."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = f"{first['loc'][0]}: " if first["loc"] else ""
    return " ".join(f"{where}{first['msg']}".split())
