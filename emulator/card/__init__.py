"""The T-Union purse applet: bytes in, bytes out."""
