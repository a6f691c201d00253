"""A problem the user can mend: one sentence, and the program ends with code 2."""


class Problem(Exception):
    """What was expected, what came, what to do. Shown without a traceback."""
