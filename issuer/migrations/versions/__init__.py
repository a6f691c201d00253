"""The steps of the schema, each named after its revision."""
