"""Broken cards and gates, to judge the suites: what no case catches is a hole in the suite.

A mutant is one small lie in the source text of one module (`declared`). Each runs in a process of
its own (`child`), where the text is changed while the module is imported (`patch`); the suite is
then played until a case fails. `run` does it for many and makes a score.

Nothing is imported here: a child must be able to come in before anything else of ours.
"""
