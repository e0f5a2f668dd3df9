"""The catalogue of recordings."""
