"""Faults on purpose: kills, database crashes, cut connections, and an own count.

Nothing here trusts the product: clients write down what they were told, and
`checker` compares that with the rows by its own SQL and its own arithmetic.
`docs/reliability.md` says what is checked and what the runs gave.
"""
