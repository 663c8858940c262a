"""The figures of the notebooks, so that a cell holds only the lines that matter: one file for each theme."""
