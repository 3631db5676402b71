"""A server in Search-R1's design: ``/retrieve`` and nothing else, without exact ranks."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from drag_rl.retrieval import Query, Retriever


def search_r1_server(retriever: Retriever, *, ids: bool = True, scores: bool = True) -> Any:
    """An application; a document has its text and, where a back end gives them, an id and a score."""

    def hit_of(page_id: str, score: float) -> Any:
        document = {"contents": f'"Some title"\n{retriever.pages.text(page_id)}'} | (
            {"id": page_id} if ids else {}
        )
        return {"document": document, "score": score} if scores else document

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] != "/retrieve":
            await Response(status_code=404)(scope, receive, send)
            return
        body = await Request(scope, receive).json()
        queries = [Query(text=text) for text in body["queries"]]
        rankings = await retriever.search(queries, body["topk"] or 3)
        result = [[hit_of(hit.page_id, hit.score) for hit in ranking.hits] for ranking in rankings]
        await JSONResponse({"result": result})(scope, receive, send)

    return app
