"""A fuzzer for cards: commands of the table, right and bent, against what any card must keep.

`python -m bench.conformance.fuzz --count 100000 --seed 1`. Commands come from the command table
(`grammar`), `oracle` judges each answer, `hunt` keeps what was new and mutates it on, and a
violation is cut down to a short script (`shrink`).

Nothing is imported here: a broken card must be able to come in first (`bench.conformance.mutants`).
"""
