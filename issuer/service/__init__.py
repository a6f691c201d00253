"""The back office over HTTP: for phones, outlets and gates. Needs the extra `issuer`."""

from issuer.service.app import make_app
from issuer.service.house import Limits

__all__ = ["Limits", "make_app"]
