"""How a front end fails: the road to the reader is gone, not the card."""


class FrontendError(Exception):
    """No reader can reach the card any more. The message is one sentence and says what to do."""
