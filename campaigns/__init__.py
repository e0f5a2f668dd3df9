"""Lists, leads, the law, pacing and the dialler."""
