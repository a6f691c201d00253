"""People at gates: live taps inside queues, in virtual time.

A passenger walks up, taps and walks through. The queues are SimPy's; each tap is the terminal's
own transaction on a live card over the simulated air, and what it takes is what the queue waits.
"""
