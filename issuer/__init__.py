"""The back office: who may hold a card, opening, top-up, renewal, refund, blacklist, clearing.

So far it holds the load host alone (`issuer.loads`): the party that owns the load key.
"""
