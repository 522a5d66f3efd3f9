"""Scripts that load a published thing as a stranger would. Each imports nothing of ours, and runs by its path:

    python -I spectrum_suite/hub/load_back/dataset.py ORG/NAME COMMIT CONFIG ...

One line goes to the output for each thing that works.
"""
