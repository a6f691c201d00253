"""Errors of the back office whose message is one sentence for the user."""


class DatabaseError(Exception):
    """The database cannot be used; the message says why and what to do."""
