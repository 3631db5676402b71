"""A small vision tower that reads pages, trained from nothing on the words that PDFs themselves say they print."""
