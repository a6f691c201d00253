"""The schema's history: one module of `versions` for each step (see `issuer.migrating`)."""
