"""One module a command: `SUMMARY`, `DESCRIPTION`, `options(parser)` and `execute(given)`, its exit code.

All of them are imported for `--help`, so what a command needs is imported where it executes.
"""
