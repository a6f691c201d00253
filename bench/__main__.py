"""`python -m bench` is `tapbench`."""

from bench.cli import main

main()
