"""Files as every stage writes them: whole or not at all, with a manifest, without pickle."""
