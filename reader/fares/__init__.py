"""What rides cost: pure functions over fen, metres and local times, all whole numbers.

`rail` the distance fare, the stay in the paid area and the charge of a whole ride; `month` the
accumulation of a calendar month; `bus` lines, concessions, the ride that was never tapped off and
the money one needs to board. What an operator may decide is in `reader.policy` and handed in.
Clauses are those of the domain facts; their grades: V-A seen in an official text, V-B in the news
or a notice, V-C on a page of little weight, ASSUMED not found anywhere, D decided here.
"""
