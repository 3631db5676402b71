"""``examples/langchain_retriever.py`` against LangChain's own tests of retrievers."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import trajectory_lab as lab
from langchain_tests import integration_tests

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "langchain_retriever.py"


@pytest.fixture(scope="module")
def anyio_backend():
    return "asyncio"


@pytest.mark.slow
@pytest.mark.anyio
class TestDragRetriever(integration_tests.RetrieversIntegrationTests):
    @pytest.fixture(scope="class", autouse=True)
    def index(self, request, tmp_path_factory):
        folder = tmp_path_factory.mktemp("langchain")
        lab.make_index(folder)
        request.cls.folder = folder / "index"
        request.cls.example = staticmethod(runpy.run_path(str(EXAMPLE))["DragRetriever"])

    @property
    def retriever_constructor(self):
        return self.example

    @property
    def retriever_constructor_params(self):
        return {"index": str(self.folder), "k": 4}

    @property
    def retriever_query_example(self):
        return "seal"

    async def test_both_ways_find_the_same_pages(self, retriever):
        found = retriever.invoke("seal")
        assert found == await retriever.ainvoke("seal")
        assert found[0].id == "pumps#2" and found[0].page_content.startswith("The seal needs care.")
        assert found[0].metadata["rank"] == 1
