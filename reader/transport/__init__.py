"""The ways to reach a card: in process, PC/SC, nfcpy; and the decorators around them."""
