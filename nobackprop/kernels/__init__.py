"""The kernels: pure functions, arrays in and arrays out, dtype kept, inputs untouched, feature axis last.

They ask the arrays for their module and import none.
"""
