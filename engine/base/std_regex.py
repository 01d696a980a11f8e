"""Which regular expressions C++'s `std::regex` surely reads.

One that it does not read is an exception of C++, which ends the process; so an expression that goes to llama.cpp is
asked about here first, and anything outside this plain part of ECMAScript's language is refused.
"""

from __future__ import annotations

import re

# What std::regex and Python's re both read in the same way.
_SAFE = re.compile(
    r"""(?: [^\\(){}\[\]]                                # a character
          | \\[dDwWsSbBnrtfv^$\\.*+?()\[\]{}|/"'-]       # an escape
          | \((?:\?[:=!]|(?!\?))  | \)                   # groups
          | \{\d+(?:,\d*)?\}                             # so many times
          | \[\^?(?:[^\[\]\\]|\\[dDwWsSnrtfv\\\[\]^-])+\]  # a set
        )+""",
    re.VERBOSE,
)

HOW_TO_WRITE = r"use plain ECMAScript: characters, . [ ] ( ) | * + ? {2,3} \d \w \s, and \ before signs that are meant"
"""The next step for an expression that is refused."""


def is_safe(expression: str) -> bool:
    """Whether Python and `std::regex` both read this expression."""
    try:
        re.compile(expression)
    except (re.error, RecursionError):
        return False
    return _SAFE.fullmatch(expression) is not None
