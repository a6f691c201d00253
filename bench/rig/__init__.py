"""Private copies of the machinery around a card, so that tests never touch the system's own."""
