"""PDFs to pages and their images."""
