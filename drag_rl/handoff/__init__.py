"""From the pages that a searcher found to an answer of a generator, with citations that are checked."""
