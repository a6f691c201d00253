"""The ways a real reader reaches the card: the vpcd driver of PC/SC, and nfcpy's UDP air."""
