"""The schema, sessions and migrations."""
