"""The holder's side: the card in its secure element, the radio, and how readers reach it."""
