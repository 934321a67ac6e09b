"""When Python searches for garbage in cycles: seldom while the agent starts, and then not in what it has loaded.

A first document becomes up to half a million objects without a cycle among them. Searching them again and again while
they are made takes a tenth of the start, and a single search through all of them later 0.1 s in a large environment.
"""

from __future__ import annotations

import gc

_USUALLY = gc.get_threshold()
_STARTING = (600_000, 20, 100)


def spare_the_start() -> None:
    """Search seldom, from here on until the first document is loaded."""
    gc.set_threshold(*_STARTING)


def spare_what_is_loaded() -> None:
    """A document is loaded. If it is the first one, leave what there is alone, and search as usual for the rest."""
    if gc.get_threshold()[0] == _STARTING[0]:  # all that Python 3.14 keeps of the third is a zero
        gc.freeze()
        gc.set_threshold(*_USUALLY)
