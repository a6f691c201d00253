"""The operator's side: the ways to reach a card, the transactions, the PSAM, fares and the gate."""
