"""How fast a training step is: alone, in a pipeline, and next to PyTorch."""
