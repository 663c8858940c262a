"""The equations of Kao and Chen (2020)."""
from __future__ import annotations

from .paper import Equation, Paper

EQUATIONS = (
    # Associated functions
    Equation(
        "4.1", "4.1",
        "s_i = f_i(s_{i-1}), i = 1, ..., l/2",
        r"s_i = f_i(s_{i-1}), \quad i = 1, \dots, \ell/2",
        "The associated functions carry the input up; s_0 = x.",
    ),
    Equation(
        "4.2", "4.1",
        "L_i(s_i, t_i) = |s_i - t_i|^2, i = 1, ..., l/2",
        r"L_i(s_i, t_i) = \|s_i - t_i\|^2, \quad i = 1, \dots, \ell/2",
        "The associated loss before there were bridges.",
        kind="property",
        note="Not computed: (4.3) takes its place. It needs s_i and t_i of one size, which a network whose hidden "
             "sizes read the same backwards has. t_0 = y, one-hot, is nowhere said.",
    ),

    # Bridges
    Equation(
        "4.3", "4.2",
        "L_i(s_i, t_i) = |b_i(s_i) - t_i|^2, i = 1, ..., l/2",
        r"L_i(s_i, t_i) = \|b_i(s_i) - t_i\|^2, \quad i = 1, \dots, \ell/2",
        "The associated loss: the bridge makes of s_i what the encoder makes of the target.",
        note="Its gradient moves f_i and b_i. Called a mean squared error and printed as a squared norm: `error` "
             "chooses the mean over units and batch, or the sum over units and the mean over the batch.",
    ),

    # Autoencoders
    Equation(
        "4.4", "4.3",
        "t_i = g_i(t_{i-1}), i = 1, ..., l/2",
        r"t_i = g_i(t_{i-1}), \quad i = 1, \dots, \ell/2",
        "The encoders carry the target up; t_0 = y.",
    ),
    Equation(
        "4.5", "4.3",
        "t'_{i-1} = h_i(t_i), i = i, ..., l/2",
        r"t'_{i-1} = h_i(t_i), \quad i = i, \dots, \ell/2",
        "The decoders carry it down again.",
        corrected="t'_{i-1} = h_i(t_i), i = 1, ..., l/2",
        corrected_tex=r"t'_{i-1} = h_i(t_i), \quad i = 1, \dots, \ell/2",
        reason="The index runs from 1.",
        note="In learning h_i reads t_i = g_i(t_{i-1}); in (4.8) it reads the decoded t'_i, another value under one "
             "name.",
    ),
    Equation(
        "4.6", "4.3",
        "L'_i(h_i(g_i(t_{i-1})), t_{i-1}) = |t'_{i-1} - t_{i-1}|^2, i = 1, ..., l/2",
        r"L'_i(h_i(g_i(t_{i-1})), t_{i-1}) = \|t'_{i-1} - t_{i-1}\|^2, \quad i = 1, \dots, \ell/2",
        "The autoencoder loss, which moves g_i and h_i.",
    ),

    # Together
    Equation(
        "4.7", "4.4",
        "local-obj_i = |b_i(s_i) - t_i|^2 + |t'_{i-1} - t_{i-1}|^2",
        r"\text{local-obj}_i = \|b_i(s_i) - t_i\|^2 + \|t'_{i-1} - t_{i-1}\|^2",
        "What component i descends.",
        corrected="local-obj_i = |b_i(f_i(sg[s_{i-1}])) - sg[t_i]|^2 + |h_i(g_i(sg[t_{i-1}])) - sg[t_{i-1}]|^2",
        corrected_tex=r"\text{local-obj}_i = \|b_i(f_i(\mathrm{sg}[s_{i-1}])) - \mathrm{sg}[t_i]\|^2 "
                      r"+ \|h_i(g_i(\mathrm{sg}[t_{i-1}])) - \mathrm{sg}[t_{i-1}]\|^2",
        reason="t_i = g_i(t_{i-1}), so that the printed form moves g_i by the associated loss too, against Fig. 4 and "
               "its text: the codes then fall together. sg[.] counts as a constant.",
    ),
    Equation(
        "4.8", "4.5",
        "y^ = (h_1 o h_2 o ... o h_{l/2} o b_{l/2} o f_{l/2} o ... o f_2 o f_1)(x)",
        r"\hat y = (h_1 \circ h_2 \circ \dots \circ h_{\ell/2} \circ b_{\ell/2} \circ f_{\ell/2} \circ \dots "
        r"\circ f_2 \circ f_1)(x)",
        "Prediction: the folded network's own forward pass, through the effective parameters alone.",
        note="Where l is odd, l/2 is rounded down and the middle layer is in the last bridge. h_1's sigmoid is left "
             "out of the network's output, whose largest entry it does not change.",
    ),
)

AL = Paper(
    key="AL",
    title="Kao and Chen (2020), Associated Learning: Decomposing End-to-End Backpropagation Based on Autoencoders "
          "and Target Propagation",
    reading="The network is folded: f_i is hidden block i, h_i the block that has i - 1 blocks above it, and what "
            "lies between f_{l/2} and h_{l/2} is the last bridge. g_i and the lower bridges belong to the rule's "
            "state. Lines of code compute gradients, for a whole batch.",
    equations=EQUATIONS,
)
