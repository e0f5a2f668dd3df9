"""Telephony and call flows. Knows no SQL and nothing of campaigns or customers."""
