"""Model servers that drag-rl starts itself."""
