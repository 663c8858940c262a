"""The kernels: pure functions, arrays in and arrays out, inputs untouched, feature axis last.

A result has the dtype that result_type gives of the arrays that came; what is computed of integers alone is a float,
and what only moves numbers about keeps their dtype.  There may be no samples, unless the result is a mean over them.
The kernels ask the arrays for their module and import none.
"""
