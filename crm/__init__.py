"""Contacts and their numbers."""
