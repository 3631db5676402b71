"""A searcher, with or without a generator, as one model behind OpenAI's chat API."""
