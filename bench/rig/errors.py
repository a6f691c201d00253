"""The error of every rig, where each can take it without the others."""


class RigError(Exception):
    """A rig cannot be set up here. The message is one sentence and says what to do."""
