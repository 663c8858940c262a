"""Fuzzing: damaged files of every format that is read; only InputError may come of them.  See docs/reliability.md."""
