"""Running a compiled pipeline on this machine: the parts of `run_local.py`."""
