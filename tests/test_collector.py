"""The garbage collector of a process that has started."""

import gc

from megacomet import collector


def test_what_exists_is_left_out_and_the_rest_is_searched_seldom():
    """A started process does not search what it imported."""
    before = gc.get_threshold()
    try:
        collector.calm()
        assert gc.get_freeze_count() > 1000
        assert gc.get_threshold() == collector.THRESHOLDS
    finally:
        gc.unfreeze()
        gc.set_threshold(*before)
