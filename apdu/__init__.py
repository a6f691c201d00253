"""The language card and gate both speak: commands, records, files, TLV, status words, cryptograms.

Pure functions and values. Nothing here touches a socket, a clock, randomness or a file,
and nothing here imports another package of the project.
"""
