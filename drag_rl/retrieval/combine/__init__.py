"""Several rankings put together: of several indexes, of several queries, or of a first stage and a scorer."""
