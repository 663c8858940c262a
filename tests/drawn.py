"""Runs in the kernel of a notebook before its first cell: every figure that is shown also gives the data behind it.

The data are one more form of an output, beside its PNG, under the type MIME.  So they are stored in the notebook with
it, and tests/test_notebooks.py compares them: a PNG differs between versions of matplotlib, and says not what it shows.
"""


def _install():
    import numpy as np
    from IPython import get_ipython
    from IPython.core.formatters import BaseFormatter
    from traitlets import ObjectName, Unicode

    MIME, WHOLE, SOME, DIGITS = "application/vnd.nobackprop.drawn+json", 60, 20, 4

    class Drawn(BaseFormatter):
        format_type = Unicode(MIME)
        print_method = ObjectName("_nobody_has_this_method")
        _return_type = (dict, list)

    def numbers(values):
        """All numbers of a small array; of a large one its shape, mean, deviation, ends, and some of its numbers."""
        array = np.ma.filled(np.ma.asarray(values, dtype="float64"), np.nan)
        if array.size <= WHOLE:
            return rounded(array.ravel())
        flat = array.ravel()
        kept = flat[np.isfinite(flat)]
        of = [kept.mean(), kept.std(), kept.min(), kept.max()] if kept.size else []
        some = flat[np.linspace(0, flat.size - 1, SOME).round().astype(int)]
        return {"shape": list(array.shape), "of": rounded(np.array(of)), "some": rounded(some)}

    def rounded(array):
        return [float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value) for value in array]

    def panel(axes):
        found = {"texts": [axes.get_title(), axes.get_xlabel(), axes.get_ylabel(),
                           *(text.get_text() for text in axes.texts)],
                 "lines": [[numbers(axes.convert_xunits(line.get_xdata())), numbers(line.get_ydata())]
                           for line in axes.lines],
                 "patches": [numbers(patch.get_path().vertices) for patch in axes.patches],
                 "images": [numbers(image.get_array()) for image in axes.images],
                 "collections": [numbers(one.get_offsets() if len(one.get_offsets()) > 1 else
                                         [vertex for path in one.get_paths() for vertex in path.vertices])
                                 for one in axes.collections]}
        return {key: value for key, value in found.items() if value and any(value)}

    def figure(shown):
        return [panel(axes) for axes in shown.axes]

    def film(shown):
        """The first, the middle and the last figure."""
        return [figure(shown.figures[i]) for i in (0, len(shown.figures) // 2, -1)]

    shell = get_ipython()
    if shell is None:  # pytest looks for examples in every file
        return
    formatter = Drawn(parent=shell.display_formatter)
    formatter.for_type_by_name("matplotlib.figure", "Figure", figure)
    formatter.for_type_by_name("nobackprop.pictures.film", "Film", film)
    shell.display_formatter.formatters[MIME] = formatter


_install()
del _install
