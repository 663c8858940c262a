"""The equations of Woo (2023), chapters 2 to 6."""
from __future__ import annotations

from .paper import Equation, Paper

AT_A = ("f' must be taken at the pre-activation, and it multiplies unit by unit. At h, as printed, it is the same "
        "number only for ReLU.")

NO_ETA = "Without -eta the step climbs the loss, and without the transpose the shapes of the product do not fit."

EQUATIONS = (
    # Backpropagation
    Equation(
        "2.1", "2.1",
        "h_{l+1} = phi(W_{l+1} h_l + b_{l+1})",
        r"\mathbf h_{l+1} = \phi(\mathbf W_{l+1} \mathbf h_l + \mathbf b_{l+1})",
        "A layer of the forward path.",
        note="In mirror mode the noise is measured after W and before b and phi. The text below the equation calls "
             "both the bias and the nonlinearity h.",
    ),
    Equation(
        "2.2", "2.1",
        "delta_l = phi'(h_l) W_{l+1}^T delta_{l+1}",
        r"\delta_l = \phi'(\mathbf h_l)\, \mathbf W_{l+1}^T \delta_{l+1}",
        "Backpropagation: the error goes down through the transposed forward weights.",
        corrected="delta_l = phi'(a_l) .* (W_{l+1}^T delta_{l+1})",
        corrected_tex=r"\delta_l = \phi'(\mathbf a_l) \odot \left(\mathbf W_{l+1}^T \delta_{l+1}\right)",
        reason=AT_A,
    ),
    Equation(
        "2.3", "2.1",
        "Delta W_{l+1} = -eta delta_{l+1} h_l^T",
        r"\Delta \mathbf W_{l+1} = -\eta\, \delta_{l+1} \mathbf h_l^T",
        "The weight update, for a delta that any feedback has brought.",
    ),

    # Random fixed feedback weights
    Equation(
        "2.4", "2.2",
        "delta_l = phi'(h_l) B_{l+1}^T delta_{l+1}",
        r"\delta_l = \phi'(\mathbf h_l)\, \mathbf B_{l+1}^T \delta_{l+1}",
        "Feedback alignment: fixed random weights of the shape of W carry the error down.",
        corrected="delta_l = phi'(a_l) .* (B_{l+1}^T delta_{l+1})",
        corrected_tex=r"\delta_l = \phi'(\mathbf a_l) \odot \left(\mathbf B_{l+1}^T \delta_{l+1}\right)",
        reason=AT_A,
    ),
    Equation(
        "2.5", "2.2",
        "delta_l = phi'(h_l) B_{l+1}^T delta_L",
        r"\delta_l = \phi'(\mathbf h_l)\, \mathbf B_{l+1}^T \delta_L",
        "Direct feedback alignment: every hidden layer receives the error of the last layer.",
        corrected="delta_l = phi'(a_l) .* (B_{l+1}^T delta_L)",
        corrected_tex=r"\delta_l = \phi'(\mathbf a_l) \odot \left(\mathbf B_{l+1}^T \delta_L\right)",
        reason=AT_A,
        note="L is the index of the last layer, not an output, and delta_L = y - y* is its error. B_{l+1} is n_L x "
             "n_l, which is not its shape in (2.4).",
    ),

    # Feedback weights that learn
    Equation(
        "2.6", "2.3",
        "Delta B_{l+1} = -eta h_{l+1} h_l^T",
        r"\Delta \mathbf B_{l+1} = -\eta\, \mathbf h_{l+1} \mathbf h_l^T",
        "The weight mirror: feedback weights learn from noise that is sent through the forward weights.",
        corrected="Delta B_{l+1} = +eta h_{l+1} h_l^T - lambda B_{l+1}",
        corrected_tex=r"\Delta \mathbf B_{l+1} = +\eta\, \mathbf h_{l+1} \mathbf h_l^T "
                      r"- \lambda \mathbf B_{l+1}",
        reason="On average h_{l+1} h_l^T is sigma^2 W. So the printed sign leads to -W, and without decay B "
               "grows for ever.",
        note="The h are noise that is injected while the task rests. It has zero mean and the variance sigma^2, and "
             "it is uncorrelated between units. Then B comes to rest at (eta sigma^2 / lambda) W. Here lambda is "
             "eta sigma^2, so B comes to rest at W.",
    ),
    Equation(
        "2.7", "2.3",
        "Delta B_{l+1} = Delta W_{l+1} = -eta delta_{l+1} h_l^T",
        r"\Delta \mathbf B_{l+1} = \Delta \mathbf W_{l+1} = -\eta\, \delta_{l+1} \mathbf h_l^T",
        "Kolen-Pollack: forward and feedback weights receive the same updates, and become equal.",
        corrected="Delta W_{l+1} = -eta delta_{l+1} h_l^T - lambda W_{l+1}, "
                  "Delta B_{l+1} = -eta delta_{l+1} h_l^T - lambda B_{l+1}",
        corrected_tex=r"\begin{aligned} "
                      r"\Delta \mathbf W_{l+1} &= -\eta\, \delta_{l+1} \mathbf h_l^T - \lambda \mathbf W_{l+1} \\ "
                      r"\Delta \mathbf B_{l+1} &= -\eta\, \delta_{l+1} \mathbf h_l^T - \lambda \mathbf B_{l+1} "
                      r"\end{aligned}",
        reason="As printed, W - B never changes. Weight decay makes them equal.",
        note="The gradient is a line of code; the decay is done by the optimiser. W - B is multiplied by 1 - lambda "
             "in each step under plain descent, and under every optimiser whose decay is decoupled.",
    ),

    # Forward Alignment
    Equation(
        "3.1", "3.1",
        "h_{l+1} = W_{l+1} h_l",
        r"\mathbf h_{l+1} = \mathbf W_{l+1} \mathbf h_l",
        "Backpropagation in a linear network: the forward path.",
        kind="definition",
        note="(2.1) without bias and activation function.",
    ),
    Equation(
        "3.2", "3.1",
        "delta_{l+2} = W_{l+3}^T delta_{l+3}",
        r"\delta_{l+2} = \mathbf W_{l+3}^T \delta_{l+3}",
        "Backpropagation in a linear network: the feedback path.",
        kind="definition",
        note="(2.2) without activation function.",
    ),
    Equation(
        "3.3", "3.1",
        "Delta W_{l+2} = -eta delta_{l+2} h_{l+1}^T",
        r"\Delta \mathbf W_{l+2} = -\eta\, \delta_{l+2} \mathbf h_{l+1}^T",
        "Backpropagation in a linear network: the weight update.",
        kind="definition",
        note="(2.3) in a linear network.",
    ),
    Equation(
        "3.4", "3.1",
        "h_{l+1} = W_{l+1} h_l",
        r"\mathbf h_{l+1} = \mathbf W_{l+1} \mathbf h_l",
        "Feedback alignment does not change the forward path.",
        kind="definition",
        note="The same as (3.1).",
    ),
    Equation(
        "3.5", "3.1",
        "delta~_{l+2} = B_{l+3}^T delta~_{l+3} != delta_{l+2}",
        r"\tilde\delta_{l+2} = \mathbf B_{l+3}^T \tilde\delta_{l+3} \neq \delta_{l+2}",
        "Feedback alignment approximates the feedback path by fixed random weights.",
        kind="definition",
        note="(2.4) without activation function.",
    ),
    Equation(
        "3.6", "3.1",
        "Delta W_{l+2} = -eta delta~_{l+2} h_{l+1}^T != -eta delta_{l+2} h_{l+1}^T",
        r"\Delta \mathbf W_{l+2} = -\eta\, \tilde\delta_{l+2} \mathbf h_{l+1}^T "
        r"\neq -\eta\, \delta_{l+2} \mathbf h_{l+1}^T",
        "Feedback alignment: the update uses the approximate error.",
        kind="definition",
        note="(2.3) with the delta of (3.5).",
    ),
    Equation(
        "3.7", "3.1",
        "h_{l+1} = W_{l+1} h_l",
        r"\mathbf h_{l+1} = \mathbf W_{l+1} \mathbf h_l",
        "Forward Alignment does not change the forward path that makes the output.",
        kind="definition",
        note="The same as (3.1).",
    ),
    Equation(
        "3.8", "3.1",
        "h~_{l+1} = C_{l+1} h~_l != h_{l+1}",
        r"\tilde{\mathbf h}_{l+1} = \mathbf C_{l+1} \tilde{\mathbf h}_l \neq \mathbf h_{l+1}",
        "Forward Alignment has a second forward path, of fixed random weights, which serves learning alone.",
        note="It begins with h~_0 = x, so the lowest layer learns from its true input. If a network is not linear, "
             "the code also uses its activations, biases and batch-norm gains in this path.",
    ),
    Equation(
        "3.9", "3.1",
        "delta_{l+2} = W_{l+3}^T delta_{l+3}",
        r"\delta_{l+2} = \mathbf W_{l+3}^T \delta_{l+3}",
        "Forward Alignment: the error goes down through the forward weights, as in backpropagation.",
    ),
    Equation(
        "3.10", "3.1",
        "Delta W_{l+2} = -eta delta_{l+2} h~_{l+1}^T != -eta delta_{l+2} h_{l+1}^T",
        r"\Delta \mathbf W_{l+2} = -\eta\, \delta_{l+2} \tilde{\mathbf h}_{l+1}^T "
        r"\neq -\eta\, \delta_{l+2} \mathbf h_{l+1}^T",
        "Forward Alignment: the update uses the approximate activity.",
    ),

    # Forward Alignment of two linear layers
    Equation(
        "3.11", "3.2.1",
        "E = T - W_2 W_1",
        r"\mathbf E = \mathbf T - \mathbf W_2 \mathbf W_1",
        "What two linear layers still lack of the map T that they are to learn.",
        note="So delta = E x is y* - y, and the updates of this section have +eta. Both are the opposite of chapter 2.",
    ),
    Equation(
        "3.12", "3.2.1",
        "Delta W_2 = eta delta h~^T = eta E x x^T C^T",
        r"\Delta \mathbf W_2 = \eta\, \delta\, \tilde{\mathbf h}^T "
        r"= \eta\, \mathbf E \mathbf x \mathbf x^T \mathbf C^T",
        "The step of the second layer, which learns from C x.",
        kind="definition",
        note="(3.10) in two linear layers, with the sign of (3.11). For a batch it is the mean over the samples. "
             "This needs no assumption on x.",
    ),
    Equation(
        "3.13", "3.2.1",
        "Delta W_1 = eta W_2^T delta x^T = eta W_2^T E x x^T",
        r"\Delta \mathbf W_1 = \eta\, \mathbf W_2^T \delta\, \mathbf x^T "
        r"= \eta\, \mathbf W_2^T \mathbf E \mathbf x \mathbf x^T",
        "The step of the first layer, which is the same as in backpropagation.",
        kind="definition",
        note="(3.3) in two linear layers, with the sign of (3.11). For a batch it is the mean over the samples. "
             "This needs no assumption on x.",
    ),
    Equation(
        "3.14", "3.2.1",
        "Delta W_2 = eta [E x x^T C^T] = eta E C^T",
        r"\Delta \mathbf W_2 = \eta\, [\mathbf E \mathbf x \mathbf x^T \mathbf C^T] = \eta\, \mathbf E \mathbf C^T",
        "The step of the second layer, on average over white inputs.",
        note="With Sigma = [x x^T] it is eta E Sigma C^T. The code takes any Sigma.",
    ),
    Equation(
        "3.15", "3.2.1",
        "Delta W_1 = eta [W_2^T E x x^T] = eta W_2^T E",
        r"\Delta \mathbf W_1 = \eta\, [\mathbf W_2^T \mathbf E \mathbf x \mathbf x^T] = \eta\, \mathbf W_2^T \mathbf E",
        "The step of the first layer, on average over white inputs.",
        note="With Sigma = [x x^T] it is eta W_2^T E Sigma. The code takes any Sigma.",
    ),
    Equation(
        "3.16", "3.2.1",
        "W_2' = E C^T",
        r"\dot{\mathbf W}_2 = \mathbf E \mathbf C^T",
        "The flow that small steps follow: the second layer.",
        note="If the inputs are not white, it is E Sigma C^T.",
    ),
    Equation(
        "3.17", "3.2.1",
        "W_1' = W_2^T E",
        r"\dot{\mathbf W}_1 = \mathbf W_2^T \mathbf E",
        "The flow that small steps follow: the first layer.",
        note="If the inputs are not white, it is W_2^T E Sigma.",
    ),
    Equation(
        "3.18", "3.2.1",
        "W_1' C^T = W_2^T E C^T = W_2^T W_2'",
        r"\dot{\mathbf W}_1 \mathbf C^T = \mathbf W_2^T \mathbf E \mathbf C^T = \mathbf W_2^T \dot{\mathbf W}_2",
        "This relation connects the changes of the two layers.",
        kind="property",
        note="It is true for any inputs, and for every single step of a mini-batch.",
    ),
    Equation(
        "3.19", "3.2.1",
        "W_1 C^T = int W_2^T W_2' + r = 1/2 W_2^T W_2 + r",
        r"\mathbf W_1 \mathbf C^T = \int \mathbf W_2^T \dot{\mathbf W}_2 + \mathbf r "
        r"= \frac12 \mathbf W_2^T \mathbf W_2 + \mathbf r",
        "The quantity that the flow conserves.",
        kind="property",
        corrected="W_1 C^T + C W_1^T = W_2^T W_2 + K, K constant",
        corrected_tex=r"\mathbf W_1 \mathbf C^T + \mathbf C \mathbf W_1^T = \mathbf W_2^T \mathbf W_2 + \mathbf K, "
                      r"\quad \dot{\mathbf K} = 0",
        reason="The derivative of W_2^T W_2 is the sum of W_2^T W_2' and its transpose. The integral is half of W_2^T "
               "W_2 only if that product is symmetric all along the path, as it is from zero weights on white inputs.",
    ),
    Equation(
        "3.20", "3.2.1",
        "M = tr(E C^T C E)",
        r"M = \operatorname{tr}(\mathbf E \mathbf C^T \mathbf C \mathbf E)",
        "The function that the printed proof follows.",
        corrected="M = tr(E C^T C E^T) = |E C^T|^2",
        corrected_tex=r"M = \operatorname{tr}(\mathbf E \mathbf C^T \mathbf C \mathbf E^T) "
                      r"= \lVert \mathbf E \mathbf C^T \rVert^2",
        reason="As printed, it exists only if there are as many outputs as inputs, and then it may be negative.",
    ),
    Equation(
        "3.21", "3.2.1",
        "M' = -|E C^T W_2^T|^2 - 2 |W_2^T E C^T|^2 <= 0",
        r"\dot M = -\lVert \mathbf E \mathbf C^T \mathbf W_2^T \rVert^2 "
        r"- 2 \lVert \mathbf W_2^T \mathbf E \mathbf C^T \rVert^2 \le 0",
        "The rate at which M falls.",
        corrected="M' = -|Z W_2^T|^2 - 2 |W_2^T Z|^2 - tr(Z K Z^T), Z = E C^T",
        corrected_tex=r"\dot M = -\lVert \mathbf Z \mathbf W_2^T \rVert^2 - 2 \lVert \mathbf W_2^T \mathbf Z \rVert^2 "
                      r"- \operatorname{tr}(\mathbf Z \mathbf K \mathbf Z^T), \quad \mathbf Z = \mathbf E \mathbf C^T",
        reason="The printed form takes K to be 0. If K is not 0, M is certain to fall only if K has no negative "
               "eigenvalue; else it may rise.",
    ),
    Equation(
        "3.23", "3.2.1",
        "W_2^T E C^T = W_2^T (T - W_2 W_1) C^T = 0",
        r"\mathbf W_2^T \mathbf E \mathbf C^T = \mathbf W_2^T (\mathbf T - \mathbf W_2 \mathbf W_1) \mathbf C^T = 0",
        "The last step of the printed proof.",
        kind="property",
        corrected="W_2^T E C^T -> 0 as t -> oo",
        corrected_tex=r"\mathbf W_2^T \mathbf E \mathbf C^T \to 0 \quad (t \to \infty)",
        reason="Barbalat's lemma gives a limit. If a function goes to 0, its derivative need not.",
        note="No equation has the number 3.22.",
    ),
    Equation(
        "3.24", "3.2.1",
        "W_2'^T T C^T = 0",
        r"\dot{\mathbf W}_2^T \mathbf T \mathbf C^T = 0",
        "The printed proof derives it by differentiating (3.23).",
        kind="property",
        corrected="W_2'^T T C^T -> 0 as t -> oo",
        corrected_tex=r"\dot{\mathbf W}_2^T \mathbf T \mathbf C^T \to 0 \quad (t \to \infty)",
        reason="A limit may not be differentiated. The limit here is true because E goes to 0.",
    ),
    Equation(
        "3.25", "3.2.1",
        "0 = C E^T T C^T = C^+ C E^T T C^T (C^+)^T = E^T T = T^T E",
        r"0 = \mathbf C \mathbf E^T \mathbf T \mathbf C^T "
        r"= \mathbf C^+ \mathbf C \mathbf E^T \mathbf T \mathbf C^T (\mathbf C^+)^T "
        r"= \mathbf E^T \mathbf T = \mathbf T^T \mathbf E",
        "The conclusion that E vanishes.",
        kind="property",
        corrected="C E^T T C^T -> 0, hence E^T T = C^+ (C E^T T C^T) (C^+)^T -> 0, as t -> oo",
        corrected_tex=r"\mathbf C \mathbf E^T \mathbf T \mathbf C^T \to 0, \quad \mathbf E^T \mathbf T "
                      r"= \mathbf C^+ (\mathbf C \mathbf E^T \mathbf T \mathbf C^T) (\mathbf C^+)^T \to 0 "
                      r"\quad (t \to \infty)",
        reason="It is a limit. And a matrix is not equal to its product with C^+ from both sides, unless both are 0.",
    ),

    # Activation sharing
    Equation(
        "4.1", "4.1",
        "h~_{l+1} = C_{l+1} h~_l = h_l",
        r"\tilde{\mathbf h}_{l+1} = \mathbf C_{l+1} \tilde{\mathbf h}_l = \mathbf h_l",
        "Activation sharing is Forward Alignment that begins anew in every block, with identities as weights.",
        note="This needs equal widths; sharing.match makes other widths fit, by the three methods of section 5.1.1. By "
             "these equations the shared activity is that of one layer below the output of the block before. By the "
             "text below (4.4) it is that output. sharing.PLANS has both.",
    ),
    Equation(
        "4.2", "4.1",
        "h~_{l+2} = C_{l+2} h~_{l+1} = C_{l+2} C_{l+1} h~_l = h_l",
        r"\tilde{\mathbf h}_{l+2} = \mathbf C_{l+2} \tilde{\mathbf h}_{l+1} "
        r"= \mathbf C_{l+2} \mathbf C_{l+1} \tilde{\mathbf h}_l = \mathbf h_l",
        "The same, one layer further up.",
    ),
    Equation(
        "4.3", "4.1",
        "Delta W_{l+2} = -eta delta_{l+2} h~_{l+1}^T = -eta delta_{l+2} h_l^T",
        r"\Delta \mathbf W_{l+2} = -\eta\, \delta_{l+2} \tilde{\mathbf h}_{l+1}^T = -\eta\, \delta_{l+2} \mathbf h_l^T",
        "Activation sharing: the lower layer of a block of two learns from the shared activity.",
    ),
    Equation(
        "4.4", "4.1",
        "Delta W_{l+3} = -eta delta_{l+3} h~_{l+2}^T = -eta delta_{l+3} h_l^T",
        r"\Delta \mathbf W_{l+3} = -\eta\, \delta_{l+3} \tilde{\mathbf h}_{l+2}^T = -\eta\, \delta_{l+3} \mathbf h_l^T",
        "Activation sharing: the upper layer of the block learns from it, too.",
    ),
    *(Equation(
        number, "4.2.1",
        f"Delta W_{{{layer}}} = Delta B_{{{layer}}} = -eta delta_{{{layer}}} h_l^T",
        rf"\Delta \mathbf W_{{{layer}}} = \Delta \mathbf B_{{{layer}}} = -\eta\, \delta_{{{layer}}} \mathbf h_l^T",
        f"ASAP: forward and feedback weights receive the same update, from the shared activity, in the {which} layer "
        "of a block.",
        corrected=f"Delta W_{{{layer}}} = -eta delta_{{{layer}}} h_l^T - lambda W_{{{layer}}}, "
                  f"Delta B_{{{layer}}} = -eta delta_{{{layer}}} h_l^T - lambda B_{{{layer}}}",
        corrected_tex=r"\begin{aligned} "
                      rf"\Delta \mathbf W_{{{layer}}} &= -\eta\, \delta_{{{layer}}} \mathbf h_l^T "
                      rf"- \lambda \mathbf W_{{{layer}}} \\ "
                      rf"\Delta \mathbf B_{{{layer}}} &= -\eta\, \delta_{{{layer}}} \mathbf h_l^T "
                      rf"- \lambda \mathbf B_{{{layer}}} "
                      r"\end{aligned}",
        reason="As printed, W - B never changes. The theorem of the same section needs the decay.",
    ) for number, layer, which in (("4.5", "l+2", "lower"), ("4.6", "l+3", "upper"))),
    *(Equation(
        number, "4.3",
        f"Delta {path}_{{{layer}}} = -eta delta_{{{layer}}} h_{{{source}}}^T",
        rf"\Delta \mathbf {path}_{{{layer}}} = -\eta\, \delta_{{{layer}}} \mathbf h_{{{source}}}^T",
        f"ASFP: {whose}.",
        note="The text below (4.10) exchanges the two paths. No decay is printed. With decay W - B is bounded, but it "
             "need not vanish, because W and B receive different updates.",
    ) for number, path, layer, source, whose in (
        ("4.7", "W", "l+2", "l+1", "forward weights learn from their own input, in the lower layer of a block"),
        ("4.8", "W", "l+3", "l+2", "forward weights learn from their own input, in the upper layer"),
        ("4.9", "B", "l+2", "l", "feedback weights learn from the shared activity, in the lower layer of a block"),
        ("4.10", "B", "l+3", "l", "feedback weights learn from the shared activity, in the upper layer"))),

    # What a shortcut does for it
    Equation(
        "5.1", "5.2.2",
        "h_{l+2} = phi(W_{l+2} h_{l+1} + b_{l+2}) + h_l",
        r"\mathbf h_{l+2} = \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2}) + \mathbf h_l",
        "A residual block.",
        kind="definition",
        note="The residual networks here, like those of He et al. 2016, have phi after the sum. The equations that "
             "follow in print do not hold for them, but their conclusion is still a theorem.",
    ),
    Equation(
        "5.2", "5.2.2",
        "Delta W_{l+3} = delta_{l+3} h_{l+2} = delta_{l+3} phi(W_{l+2} h_{l+1} + b_{l+2}) + delta_{l+3} h_l",
        r"\Delta \mathbf W_{l+3} = \delta_{l+3} \mathbf h_{l+2} "
        r"= \delta_{l+3} \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2}) + \delta_{l+3} \mathbf h_l",
        "Above a residual block, the shared update is a part of the exact update.",
        kind="property",
        corrected="Delta W_{l+3} = -eta delta_{l+3} h_{l+2}^T "
                  "= -eta delta_{l+3} phi(W_{l+2} h_{l+1} + b_{l+2})^T - eta delta_{l+3} h_l^T",
        corrected_tex=r"\Delta \mathbf W_{l+3} = -\eta\, \delta_{l+3} \mathbf h_{l+2}^T "
                      r"= -\eta\, \delta_{l+3} \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2})^T "
                      r"- \eta\, \delta_{l+3} \mathbf h_l^T",
        reason=NO_ETA,
    ),
    Equation(
        "5.3", "5.2.2",
        "Delta W~_{l+3} = delta_{l+3} h_l",
        r"\Delta \tilde{\mathbf W}_{l+3} = \delta_{l+3} \mathbf h_l",
        "The update of ASAP above a residual block.",
        kind="definition",
        corrected="Delta W~_{l+3} = -eta delta_{l+3} h_l^T",
        corrected_tex=r"\Delta \tilde{\mathbf W}_{l+3} = -\eta\, \delta_{l+3} \mathbf h_l^T",
        reason=NO_ETA,
    ),
    Equation(
        "5.4", "5.2.2",
        "h_{l+2} = phi(W_{l+2} h_{l+1} + b_{l+2})",
        r"\mathbf h_{l+2} = \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2})",
        "The same block, without its shortcut.",
        kind="definition",
    ),
    Equation(
        "5.5", "5.2.2",
        "Delta W_{l+3} = delta_{l+3} h_{l+2} = delta_{l+3} phi(W_{l+2} h_{l+1} + b_{l+2})",
        r"\Delta \mathbf W_{l+3} = \delta_{l+3} \mathbf h_{l+2} "
        r"= \delta_{l+3} \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2})",
        "Above a block without a shortcut, the exact update has no part in common with the shared one.",
        kind="property",
        corrected="Delta W_{l+3} = -eta delta_{l+3} h_{l+2}^T = -eta delta_{l+3} phi(W_{l+2} h_{l+1} + b_{l+2})^T",
        corrected_tex=r"\Delta \mathbf W_{l+3} = -\eta\, \delta_{l+3} \mathbf h_{l+2}^T "
                      r"= -\eta\, \delta_{l+3} \phi(\mathbf W_{l+2} \mathbf h_{l+1} + \mathbf b_{l+2})^T",
        reason=NO_ETA,
    ),
    Equation(
        "5.6", "5.2.2",
        "Delta W~_{l+3} = delta_{l+3} h_l",
        r"\Delta \tilde{\mathbf W}_{l+3} = \delta_{l+3} \mathbf h_l",
        "The update of ASAP above a block without a shortcut.",
        kind="definition",
        corrected="Delta W~_{l+3} = -eta delta_{l+3} h_l^T",
        corrected_tex=r"\Delta \tilde{\mathbf W}_{l+3} = -\eta\, \delta_{l+3} \mathbf h_l^T",
        reason=NO_ETA,
    ),

    # What a step moves between chip and memory
    Equation(
        "6.1", "6",
        "(n_read, n_write) = (Param, Act)",
        r"(n_{\mathrm{read}}, n_{\mathrm{write}}) = (\mathrm{Param}, \mathrm{Act})",
        "The accesses of a forward pass to external memory.",
    ),
    Equation(
        "6.2", "6",
        "(n_read, n_write) = (Param + Aaram, Param)",
        r"(n_{\mathrm{read}}, n_{\mathrm{write}}) = (\mathrm{Param} + \mathrm{Aaram}, \mathrm{Param})",
        "The accesses of a backward pass to external memory.",
        corrected="(n_read, n_write) = (Param + Act, Param)",
        corrected_tex=r"(n_{\mathrm{read}}, n_{\mathrm{write}}) = (\mathrm{Param} + \mathrm{Act}, \mathrm{Param})",
        reason="The text below it says that parameters and activations are read.",
        note="ASAP also reads and writes B, which the count leaves out.",
    ),
)

ASAP = Paper(
    key="ASAP",
    title="Woo (2023), Biologically Plausible Learning Algorithm without Weight Transport and Bidirectional Connection",
    reading="delta is the gradient of the loss at the pre-activation a, and phi is an activation function. B and C "
            "have the shape of the forward map that they stand for, and B is used transposed. The lines of code "
            "compute gradients for a whole batch. The factor -eta and the weight decay of every Delta W and Delta B "
            "come from the optimiser, except that the decay of the weight mirror is part of its gradient. Section 3.2 "
            "alone has E = T - W_2 W_1 and +eta, in print and in nobackprop/studies/forward_alignment_flow.py. (3.22) "
            "does not exist.",
    equations=EQUATIONS,
)
