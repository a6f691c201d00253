"""The conformance laboratory: a numbered suite that judges any card and any gate.

A case is a function over a `Lab`, which is a card in a field, its keys if they are known, and a
list of what was said. `runner.run_cases` plays cases at a `Stand`; reports are made of the results.
"""
