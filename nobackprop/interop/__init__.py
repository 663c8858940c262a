"""Trained networks in the forms of other libraries: PyTorch (`interop.torch`) and ONNX (`interop.onnx`).

Neither library is imported before a function of that module is called.
"""
