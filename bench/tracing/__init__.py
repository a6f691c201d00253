"""Recordings read: as rows to look at, against one another, and played again."""
