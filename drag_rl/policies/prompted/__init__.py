"""Published ways to search with a model that was not trained for it, as policies by name, under the same budget."""
