"""Studies of the rules: equations, theorems, locality, memory, code quality, flows, pipelines, no gradients, speed."""
