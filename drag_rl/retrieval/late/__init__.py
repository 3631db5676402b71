"""Late interaction: a vector for each part of a page image and for each word of a query (ColPali, ColQwen3-VL)."""
