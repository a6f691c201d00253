"""Judging gates: a card that plays profiles, and an observer of what becomes of each tap."""
