"""The kernels: pure functions, which take arrays and return arrays, and write to no input; features are the last axis.

The dtype of a result is what result_type gives of the arrays that came in.  If all of them are integers, what is
computed is a float, and a kernel that only moves numbers keeps their dtype.  A batch may hold no samples, unless the
result is a mean over the samples.  The kernels import neither NumPy nor CuPy: they ask the arrays for their module.

If a kernel is written for speed, a function `plain_...` in the same file says in a few lines what is computed.
"""
