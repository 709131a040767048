"""The commands of `python -m tuning`, a module each."""
