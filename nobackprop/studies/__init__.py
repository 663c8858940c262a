"""Studies of the learning rules: equations, locality, memory, code quality, flows, pipelines, no gradients, speed."""
