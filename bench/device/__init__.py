"""A whole terminal from a file: what it is, its lists, its PSAM, its journal."""
