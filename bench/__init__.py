"""The composition root: command line, rigs, benchmarks. The one package that knows everybody."""
