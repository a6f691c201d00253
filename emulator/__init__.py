"""The holder's side: the card in its secure element, the radio, and the ways a real reader reaches it."""
