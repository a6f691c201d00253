"""Cases for cards."""
