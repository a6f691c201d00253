"""A school year in one run: students, cards, gates, buses and the office, from one seed."""
