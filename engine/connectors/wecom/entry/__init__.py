"""Entry without a password (免密进入): out and back (`arriving`), and whoever must prove who they are (`joining`).

`codes` are what they prove it by, `sending` is how those get to them.
"""
