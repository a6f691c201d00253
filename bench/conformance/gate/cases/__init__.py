"""The gate cases, one module a group of the published terminal test plan."""
