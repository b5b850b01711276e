"""Imported first where workers are forked from: imports take a quarter longer with the collector.

A worker turns it on again.
"""

import gc

gc.disable()
