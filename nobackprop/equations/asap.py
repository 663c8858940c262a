"""The equations of Woo (2023), chapter 2."""
from __future__ import annotations

from .paper import Equation, Paper

AT_A = ("f' must be taken at the pre-activation, and multiplies unit by unit; at h, as printed, it is the same "
        "number for ReLU alone.")

EQUATIONS = (
    # Backpropagation
    Equation(
        "2.1", "2.1",
        "h_{l+1} = phi(W_{l+1} h_l + b_{l+1})",
        r"\mathbf h_{l+1} = \phi(\mathbf W_{l+1} \mathbf h_l + \mathbf b_{l+1})",
        "A layer of the forward path.",
        note="In mirror mode the noise is measured behind W and before b and phi. The text under it calls the "
             "bias and the nonlinearity h.",
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
        "The weight update, whatever brought delta.",
    ),

    # Random fixed feedback weights
    Equation(
        "2.4", "2.2",
        "delta_l = phi'(h_l) B_{l+1}^T delta_{l+1}",
        r"\delta_l = \phi'(\mathbf h_l)\, \mathbf B_{l+1}^T \delta_{l+1}",
        "Feedback alignment: fixed random weights of W's shape carry the error down.",
        corrected="delta_l = phi'(a_l) .* (B_{l+1}^T delta_{l+1})",
        corrected_tex=r"\delta_l = \phi'(\mathbf a_l) \odot \left(\mathbf B_{l+1}^T \delta_{l+1}\right)",
        reason=AT_A,
    ),
    Equation(
        "2.5", "2.2",
        "delta_l = phi'(h_l) B_{l+1}^T delta_L",
        r"\delta_l = \phi'(\mathbf h_l)\, \mathbf B_{l+1}^T \delta_L",
        "Direct feedback alignment: every hidden layer hears the last layer's error.",
        corrected="delta_l = phi'(a_l) .* (B_{l+1}^T delta_L)",
        corrected_tex=r"\delta_l = \phi'(\mathbf a_l) \odot \left(\mathbf B_{l+1}^T \delta_L\right)",
        reason=AT_A,
        note="L is the last layer's index, not an output, and delta_L = y - y* its error; B_{l+1} is n_L x n_l, "
             "which is not its shape in (2.4).",
    ),

    # Feedback weights that learn
    Equation(
        "2.6", "2.3",
        "Delta B_{l+1} = -eta h_{l+1} h_l^T",
        r"\Delta \mathbf B_{l+1} = -\eta\, \mathbf h_{l+1} \mathbf h_l^T",
        "The weight mirror: feedback weights learn from noise sent through the forward weights.",
        corrected="Delta B_{l+1} = +eta h_{l+1} h_l^T - lambda B_{l+1}",
        corrected_tex=r"\Delta \mathbf B_{l+1} = +\eta\, \mathbf h_{l+1} \mathbf h_l^T "
                      r"- \lambda \mathbf B_{l+1}",
        reason="On average h_{l+1} h_l^T is sigma^2 W: the printed sign leads to -W, and without decay B "
               "grows for ever.",
        note="The h are noise, injected while the task rests: of zero mean and of the variance sigma^2, "
             "uncorrelated between units. Then B rests at (eta sigma^2 / lambda) W; here lambda = eta sigma^2, "
             "which makes that W.",
    ),
    Equation(
        "2.7", "2.3",
        "Delta B_{l+1} = Delta W_{l+1} = -eta delta_{l+1} h_l^T",
        r"\Delta \mathbf B_{l+1} = \Delta \mathbf W_{l+1} = -\eta\, \delta_{l+1} \mathbf h_l^T",
        "Kolen-Pollack: forward and feedback weights learn alike, and become alike.",
        corrected="Delta W_{l+1} = -eta delta_{l+1} h_l^T - lambda W_{l+1}, "
                  "Delta B_{l+1} = -eta delta_{l+1} h_l^T - lambda B_{l+1}",
        corrected_tex=r"\begin{aligned} "
                      r"\Delta \mathbf W_{l+1} &= -\eta\, \delta_{l+1} \mathbf h_l^T - \lambda \mathbf W_{l+1} \\ "
                      r"\Delta \mathbf B_{l+1} &= -\eta\, \delta_{l+1} \mathbf h_l^T - \lambda \mathbf B_{l+1} "
                      r"\end{aligned}",
        reason="As printed W - B never changes: weight decay is what makes them alike.",
        note="The gradient is a line of code, the decay is the optimiser's: W - B shrinks by 1 - lambda a step "
             "under plain descent, and under every optimiser whose decay is decoupled.",
    ),
)

ASAP = Paper(
    key="ASAP",
    title="Woo (2023), Biologically Plausible Learning Algorithm without Weight Transport and Bidirectional Connection",
    reading="Chapter 2. delta is the gradient of the loss at the pre-activation a, phi an activation function; B has "
            "the shape of the forward map that it stands for and is used transposed. Lines of code compute "
            "gradients, for a whole batch: the factor -eta and the weight decay of every Delta W and Delta B are "
            "the optimiser's, save that the mirror's decay stands with its gradient.",
    equations=EQUATIONS,
)
