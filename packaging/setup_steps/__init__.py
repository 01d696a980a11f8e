"""The steps of the set-up: system packages, Python, locked packages, the compiled engine, models.

Standard library only: they run before anything is installed. Python 3.10 syntax, because the Python that starts them
need not be the one that the program gets.
"""
