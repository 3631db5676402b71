"""Training of retrievers that see pages: questions and page images in, an adapter or a model out."""
