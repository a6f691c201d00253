"""The parts of the HTML report that are not written by a program: frame, style and script."""
