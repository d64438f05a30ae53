"""Launch scripts: flags in, one JSON line out; the logic is in facejax."""
