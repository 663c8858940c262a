"""Sweeps: rules under many settings, the best setting of each chosen on validation data, and run on fresh seeds."""
