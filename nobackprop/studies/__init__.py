"""Studies of the rules: equations, locality, memory, codes, flows, pipelines, learning without gradients, speed."""
