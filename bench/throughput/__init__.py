"""How fast things are. Figures are of the machine they ran on: compare those of one run."""
