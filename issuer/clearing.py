"""Clearing: so far the one check everything else rests on, the TAC of a purchase."""

from issuer.tac import tac_is_right

__all__ = ["tac_is_right"]
