"""The equations of Kao and Chen (2020)."""
from __future__ import annotations

from .paper import Equation, Paper

EQUATIONS = (
    # Associated functions
    Equation(
        "4.1", "4.1",
        "s_i = f_i(s_{i-1}), i = 1, ..., l/2",
        r"s_i = f_i(s_{i-1}), \quad i = 1, \dots, \ell/2",
        "The associated functions f_i carry the input up; s_0 = x.",
    ),
    Equation(
        "4.2", "4.1",
        "L_i(s_i, t_i) = |s_i - t_i|^2, i = 1, ..., l/2",
        r"L_i(s_i, t_i) = \|s_i - t_i\|^2, \quad i = 1, \dots, \ell/2",
        "The associated loss without bridges.",
        kind="definition",
        note="This loss is not computed, because (4.3) takes its place. It needs s_i and t_i of the same size; they "
             "are so if the hidden sizes read the same backwards. The paper does not say that t_0 = y, one-hot.",
    ),

    # Bridges
    Equation(
        "4.3", "4.2",
        "L_i(s_i, t_i) = |b_i(s_i) - t_i|^2, i = 1, ..., l/2",
        r"L_i(s_i, t_i) = \|b_i(s_i) - t_i\|^2, \quad i = 1, \dots, \ell/2",
        "The associated loss: the bridge b_i maps s_i to what the encoder makes of the target.",
        note="Its gradient moves f_i and b_i. The paper calls it a mean squared error and prints a squared norm. The "
             "option `error` chooses: the mean over units and batch, or the sum over units and the mean over the "
             "batch.",
    ),

    # Autoencoders
    Equation(
        "4.4", "4.3",
        "t_i = g_i(t_{i-1}), i = 1, ..., l/2",
        r"t_i = g_i(t_{i-1}), \quad i = 1, \dots, \ell/2",
        "The encoders g_i carry the target up; t_0 = y.",
    ),
    Equation(
        "4.5", "4.3",
        "t'_{i-1} = h_i(t_i), i = i, ..., l/2",
        r"t'_{i-1} = h_i(t_i), \quad i = i, \dots, \ell/2",
        "The decoders h_i carry the encoded target down again.",
        corrected="t'_{i-1} = h_i(t_i), i = 1, ..., l/2",
        corrected_tex=r"t'_{i-1} = h_i(t_i), \quad i = 1, \dots, \ell/2",
        reason="The index runs from 1.",
        note="In learning, h_i reads t_i = g_i(t_{i-1}). In (4.8) it reads the decoded t'_i, which is another value "
             "under the same name.",
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
        "The loss that component i descends.",
        corrected="local-obj_i = |b_i(f_i(sg[s_{i-1}])) - sg[t_i]|^2 + |h_i(g_i(sg[t_{i-1}])) - sg[t_{i-1}]|^2",
        corrected_tex=r"\text{local-obj}_i = \|b_i(f_i(\mathrm{sg}[s_{i-1}])) - \mathrm{sg}[t_i]\|^2 "
                      r"+ \|h_i(g_i(\mathrm{sg}[t_{i-1}])) - \mathrm{sg}[t_{i-1}]\|^2",
        reason="Since t_i = g_i(t_{i-1}), the associated loss also moves g_i in the printed form. This contradicts "
               "Fig. 4 and its text, and then all codes become the same. sg[.] is the stop-gradient: it counts as a "
               "constant.",
    ),
    Equation(
        "4.8", "4.5",
        "y^ = (h_1 o h_2 o ... o h_{l/2} o b_{l/2} o f_{l/2} o ... o f_2 o f_1)(x)",
        r"\hat y = (h_1 \circ h_2 \circ \dots \circ h_{\ell/2} \circ b_{\ell/2} \circ f_{\ell/2} \circ \dots "
        r"\circ f_2 \circ f_1)(x)",
        "Prediction is the forward pass of the folded network itself, through the effective parameters alone.",
        note="If l is odd, l/2 is rounded down, and the middle layer is in the last bridge. The sigmoid of h_1 is "
             "left out of the output of the network, because it does not change which entry is the largest.",
    ),
)

AL = Paper(
    key="AL",
    title="Kao and Chen (2020), Associated Learning: Decomposing End-to-End Backpropagation Based on Autoencoders "
          "and Target Propagation",
    reading="The network is folded: f_i is hidden block i, h_i is the block that has i - 1 blocks above it, and the "
            "last bridge is what lies between f_{l/2} and h_{l/2}. g_i and the lower bridges belong to the state of "
            "the rule. The lines of code compute gradients for a whole batch.",
    equations=EQUATIONS,
)
