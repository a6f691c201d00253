"""ISO 14443-3 and -4 as sans-IO machines: frames in, frames out, deadlines as values."""
