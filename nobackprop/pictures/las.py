"""Pictures of the LAS paper: errors, alignment, modules that learn, convolutions, and when alignment is exact."""
from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import NullFormatter

from .. import figures
from ..figures import colour_of, looks
from ..heads import ConvHead
from ..learn import Run
from .frame import GOLD, INK, STYLES, Numbers, Picture, beneath, epochs, titled

COSINE = r"cosine of $\delta_i$ with $\delta_i^{\mathrm{BP}}$"


def errors(said: np.ndarray, target: np.ndarray, e: np.ndarray, samples: int = 12) -> Picture:
    """Draw what the network says, the target and the error of some samples, (5), as images.

    Parameters
    ----------
    said, target, e : numpy.ndarray, shape (N, C)
        The output behind the softmax, the target, and the difference of both.
    samples : int
        How many samples are shown.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(errors(np.full((4, 3), 1 / 3), np.eye(3)[[0, 1, 2, 0]], np.zeros((4, 3))).axes)   # and the colour bar
    4
    """
    figure, axes = titled(r"$\mathbf{y}$: what the network says", r"$\mathbf{y}^*$: the target",
                          r"$\mathbf{e}=\mathbf{y}-\mathbf{y}^*$", width=3.1, height=2.8, share=True)
    for panel, image in zip(axes, (said, target, e), strict=True):
        shown = panel.imshow(image[:samples], cmap="PuOr_r", vmin=-1, vmax=1, aspect="auto")
        panel.set(xlabel="class", xticks=range(image.shape[1]), yticks=range(0, min(samples, len(image)), 2))
        panel.grid(False)
    axes[0].set_ylabel("sample")
    figure.colorbar(shown, ax=axes, ticks=(-1, 0, 1))
    return figure


def alignment(runs: Mapping[str, Run]) -> Picture:
    """Draw how the error signal of each hidden layer turns towards that of backpropagation.

    Parameters
    ----------
    runs : mapping of str to Run
        A trained run for each rule; each rule has a panel, each hidden layer a line.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8,8", data.shape, data.classes)
    >>> figure = alignment({"fa": nb.fit(net, "fa", data, nb.Settings(epochs=2))})
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['$\\\\delta_1$', '$\\\\delta_2$']
    """
    figure, axes = titled(*(f"{name}: signals turn towards those of bp" for name in runs), width=3.9, height=2.9,
                          share=True)
    for panel, (name, run) in zip(axes, runs.items(), strict=True):
        curves = np.array(run.history.column("alignment_at_a"), float).T
        for i, (curve, style) in enumerate(zip(curves, STYLES), 1):
            panel.plot(range(1, len(curve) + 1), curve, color=colour_of(name), linestyle=style, linewidth=1.8,
                       label=rf"$\delta_{i}$")
        panel.set_ylim(-0.2, 1.03)
        epochs(panel, len(curves[0]))
        figures.ends(panel)
    axes[0].set_ylabel(COSINE)
    return figure


def flow(times: np.ndarray, one: tuple[np.ndarray, np.ndarray],
         many: Sequence[tuple[np.ndarray, np.ndarray]]) -> Picture:
    """Draw the loss, which may rise, and the function H, which falls, along the flow of a linear network.

    Parameters
    ----------
    times : numpy.ndarray, shape (n,)
        The times.
    one : tuple of two numpy.ndarray, shape (n,)
        Twice the loss, tr(E Sigma E^T), and H, of a network with one weight in each layer.
    many : sequence of such tuples
        Those of networks of matrices, one for each start.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> times = np.linspace(0, 8, 200)
    >>> course = np.exp(-times), np.exp(-times) - 1
    >>> len(flow(times, course, [course]).axes)
    3
    """
    figure, axes = titled("one weight a layer: the loss rises first", "matrices: loss over its start",
                          "matrices: H above its end", height=3.1)
    F, H = one
    fallen = np.concatenate([[0], np.cumsum((F[1:] + F[:-1]) / 2 * np.diff(times))])
    some = slice(None, np.searchsorted(times, 5), 20)
    axes[0].plot(times, F / 2, color=GOLD, linewidth=1.9, label="loss")
    axes[0].plot(times, H, color=INK, linewidth=1.9, label="H")
    axes[0].plot(times[some], (H[0] - fallen)[some], "o", color=INK, markersize=4, markerfacecolor="white",
                 label=r"$H(0)-\int\mathrm{tr}(\mathbf{E}\Sigma\mathbf{E}^T)$")
    axes[0].set(xlim=(-0.1, 5))
    for F, H in many:
        axes[1].semilogy(times, F / F[0], color=GOLD, linewidth=1.2, alpha=0.8)
        axes[2].semilogy(times[:-1], (H - H[-1])[:-1], color=INK, linewidth=1.2, alpha=0.8)
    axes[1].set(xlim=(0, 8), ylim=(1e-4, 4))
    axes[2].set(xlim=(0, 8), ylim=(1e-3, 30))
    for panel in axes:
        panel.set_xlabel("t")
    beneath(figure)
    return figure


def module(losses: Numbers, floor: float, said: np.ndarray, before: np.ndarray, after: np.ndarray) -> Picture:
    """Draw how a module on a hidden layer learns to say what the network says, (19)-(21).

    Parameters
    ----------
    losses : sequence of float
        The module's loss (20), with its factor 1/2, before every step.
    floor : float
        The loss at least squares.
    said : numpy.ndarray, shape (N, C)
        What the network says.
    before, after : numpy.ndarray, shape (N, C)
        What the module says, before and after it has learnt.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> said = np.linspace(-1, 1, 6).reshape(3, 2)
    >>> len(module([2.0, 1.0, 0.6], 0.5, said, 0 * said, 0.9 * said).axes)
    3
    """
    figure, axes = titled("the module's loss falls to least squares", "what it says at first",
                          f"what it says after {len(losses)} steps")
    colour = colour_of("las")
    axes[0].loglog(range(1, len(losses) + 1), losses, color=colour, linewidth=1.8)
    axes[0].axhline(floor, color="black", linestyle=":")
    axes[0].text(1, floor * 1.08, "least squares", fontsize=9)
    axes[0].set(xlabel="step", ylabel=r"$\mathcal{L}_1$ (20), with its 1/2")
    axes[0].set_yticks(marks := [mark for mark in (1, 2, 5, 10, 20, 50, 100) if floor * 0.8 < mark < 1.3 * losses[0]],
                       list(map(str, marks)))
    axes[0].yaxis.set_minor_formatter(NullFormatter())
    reach = 1.05 * np.abs(said).max()
    for panel, says in zip(axes[1:], (before, after), strict=True):
        panel.scatter(said[:150], says[:150], s=5, color=colour, alpha=0.5, linewidth=0)
        panel.plot((-reach, reach), (-reach, reach), color="black", linewidth=0.9)
        panel.set(xlabel=r"$\mathbf{a}_L$: what the network says", xlim=(-reach, reach), ylim=(-reach, reach))
    axes[1].set_ylabel(r"$\mathbf{y}_1$: what the module says")
    return figure


def signs(printed: Numbers, corrected: Numbers, exact: Sequence[Numbers]) -> Picture:
    """Draw the distance of a module from the product of the weights above it, under both signs of (21).

    Parameters
    ----------
    printed, corrected : sequence of float
        The distance after each step, under the sign as printed and under the other one.
    exact : sequence of sequences of float
        What theory says of both.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(signs([1.0, 2.0], [1.0, 0.5], [[1.0, 2.0], [1.0, 0.5]]).axes)
    1
    """
    figure, (axes,) = titled("Only with the other sign does the module get there", width=6.5, height=3.4)
    for found, style, name in ((printed, "--", r"(21) as printed: $-\eta$"), (corrected, "-", r"corrected: $+\eta$")):
        axes.semilogy(found, color=colour_of("las"), linestyle=style, linewidth=2, label=name)
    for theory in exact:
        axes.semilogy(range(0, len(theory), 4), theory[::4], "o", color="black", markersize=3)
    axes.lines[-1].set_label(r"theory: $|\mathbf{D}_0(\mathbf{I}\pm\eta\mathbf{S})^k|$")
    axes.set(xlabel="step k", ylabel=r"$|\mathbf{D}_k|$, distance to $\mathbf{W}_L\cdots\mathbf{W}_2$",
             xlim=(0, len(printed) - 1))
    beneath(figure)
    return figure


def classifiers(away: Mapping[str, Numbers], right: Mapping[str, Numbers]) -> Picture:
    """Draw how near the modules of LAS and LTAS are to the network's output, and how well they classify.

    Parameters
    ----------
    away : mapping of str to sequence of float
        For each rule the distance of module and output, relative to the output, after every epoch.
    right : mapping of str to sequence of float
        For each rule the module's validation accuracy after every epoch.

    Returns
    -------
    Picture

    Examples
    --------
    >>> len(classifiers({"las": [1.0, 0.5]}, {"las": [0.5, 0.9]}).axes)
    2
    """
    figure, axes = titled(r"how far $\mathbf{B}_2^T\mathbf{h}_1$ is from $\mathbf{a}_L$",
                          r"the module on $\mathbf{h}_1$ as a classifier", width=4.2)
    for panel, curves in zip(axes, (away, right), strict=True):
        for look, curve in zip(looks(list(curves)), curves.values(), strict=True):
            panel.plot(range(1, len(curve) + 1), curve, linewidth=1.8, **look)
        panel.set_ylim(0, max(1, *(max(curve) for curve in curves.values())) * 1.02)
        epochs(panel, len(curve))
        figures.ends(panel)
    axes[0].set_ylabel(r"$|\mathbf{B}_2^T\mathbf{h}_1-\mathbf{a}_L|\;/\;|\mathbf{a}_L|$")
    axes[1].set_ylabel("validation accuracy")
    return figure


def convolution(B: np.ndarray, heads: Sequence[ConvHead], side: int) -> Picture:
    """Draw one plane of a module's kernel, and what it sends to each position of an image for an error of 1.

    Parameters
    ----------
    B : numpy.ndarray, shape (C, k k)
        The modules' kernel, on one plane; class 0 is shown.
    heads : sequence of ConvHead
        Modules of different strides.
    side : int
        The side of the image.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(convolution(np.arange(9.0)[None], [ConvHead(3, 1, 1), ConvHead(3, 2, 1)], 8).axes)
    3
    """
    figure, axes = titled("kernel of one class", *(f"sent with stride {head.stride}" for head in heads), width=2.7,
                          height=2.6)
    k, most = heads[0].kernel, np.abs(B).max()
    sent = [head.positions(side, side) * head.send(B[:1], np.ones((1, 1)), (1, side, side, 1))[0, :, :, 0]
            for head in heads]
    for panel, image, limit in zip(axes, (B[0].reshape(k, k), *sent),
                                   (most, *[np.abs(sent).max()] * len(sent)), strict=True):
        panel.imshow(image, cmap="PuOr_r", vmin=-limit, vmax=limit)
        panel.set(xticks=[], yticks=[])
        panel.grid(False)
    return figure


def conditions(found: Mapping[str, tuple[Numbers, Numbers, float | None]]) -> Picture:
    """Draw a module's distance and loss against steps, in a panel for each condition that is broken.

    Parameters
    ----------
    found : mapping of str to tuple
        For each title: the distances |D|, the losses (20), and where theory says that |D| comes to rest, or None.

    Returns
    -------
    Picture

    Examples
    --------
    >>> panels = {"full rank": ([1.0, 0.1], [0.5, 0.01], 0.0), "a step too long": ([1.0, 2.0], [1.0, 4.0], None)}
    >>> len(conditions(panels).axes)
    2
    """
    figure, axes = titled(*found, width=3.0, share=True)
    for panel, (distance, loss, rest) in zip(axes, found.values(), strict=True):
        panel.semilogy(distance, color=colour_of("las"), linewidth=1.9, label=r"$|\mathbf{D}|$")
        panel.semilogy(np.maximum(loss, 1e-14), color=GOLD, linestyle="--", linewidth=1.7, label="loss (20)")
        if rest is not None and rest > 1e-7:
            panel.axhline(rest, color="black", linestyle=":", label=r"theory: where $|\mathbf{D}|$ comes to rest")
        panel.set(xlabel="step", xlim=(0, len(distance) - 1), ylim=(1e-7, 1e6))
    beneath(figure)
    return figure


def figure_4(curves: Mapping[str, Mapping[str, np.ndarray]]) -> Picture:
    """Draw Fig. 4: the alignment of delta_1 against epochs, mean and range over seeds.

    Parameters
    ----------
    curves : mapping of str to mapping of str to numpy.ndarray, shape (seeds, epochs)
        For the title of each panel the cosines of each rule.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import numpy as np
    >>> len(figure_4({"random B": {"las": np.array([[0.1, 0.5], [0.2, 0.6]])}}).axes)
    1
    """
    figure, axes = titled(*curves, width=4.5, height=3.3, share=True)
    for panel, rules in zip(axes, curves.values(), strict=True):
        for look, found in zip(looks(list(rules)), rules.values(), strict=True):
            along = range(1, found.shape[1] + 1)
            panel.fill_between(along, found.min(0), found.max(0), color=look["color"], alpha=0.2, linewidth=0)
            panel.plot(along, found.mean(0), linewidth=1.9, **look)
        panel.set_ylim(-0.05, 1.03)
        epochs(panel, found.shape[1])
        figures.ends(panel)
    axes[0].set_ylabel(r"cosine of $\delta_1$ with $\delta_1^{\mathrm{BP}}$")
    return figure


def comparison(runs: Mapping[str, Sequence[Run]]) -> Picture:
    """Draw validation accuracy and alignment of the first hidden block against epochs, means over seeds.

    Parameters
    ----------
    runs : mapping of str to sequence of Run
        For each rule its trained runs, one for each seed.

    Returns
    -------
    Picture

    Examples
    --------
    >>> import nobackprop as nb
    >>> data = nb.data.load("xor")
    >>> net = nb.models.build("mlp:8,8", data.shape, data.classes)
    >>> runs = {name: [nb.fit(net, name, data, nb.Settings(epochs=2))] for name in ("bp", "shallow")}
    >>> [len(axes.lines) for axes in comparison(runs).axes]             # shallow sends nothing to the first block
    [2, 1]
    """
    figure, axes = titled("learning", "alignment of the first hidden block", width=4.6, height=3.4)
    for those, look in zip(runs.values(), looks(list(runs)), strict=True):
        accuracy = np.array([run.history.column("validation_accuracy") for run in those], float)
        axes[0].plot(range(1, accuracy.shape[1] + 1), accuracy.mean(0), linewidth=1.8, **look)
        first = [[at[0] for at in run.history.column("alignment_at_a")] for run in those]
        if first[0][0] is not None:
            axes[1].plot(range(1, len(first[0]) + 1), np.array(first, float).mean(0), linewidth=1.8, **look)
    axes[0].set(ylabel="validation accuracy", ylim=(0, 1.02))
    axes[1].set(ylabel=r"cosine of $\delta_1$ with $\delta_1^{\mathrm{BP}}$", ylim=(-0.2, 1.05))
    for panel in axes:
        epochs(panel, accuracy.shape[1])
        figures.ends(panel)
    return figure
