"""Experiments: runs of rules side by side, what they leave on disk, and the papers' tables and figures."""
