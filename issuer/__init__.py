"""The back office: who may hold a card, opening, top-up, renewal, refund, blacklist, clearing.

`issuer.tables` is where its books are declared, `issuer.database` how they are opened and written;
each book is a module of functions over a session, so that one transaction can write several.
"""
