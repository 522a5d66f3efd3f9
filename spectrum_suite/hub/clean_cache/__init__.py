"""Scripts that verify a push from a clean cache. Each imports nothing of ours, and runs by its path:

    python -I spectrum_suite/hub/clean_cache/verify_dataset.py ORG/NAME COMMIT CONFIG ...

One line goes to the output for each thing that works.
"""
