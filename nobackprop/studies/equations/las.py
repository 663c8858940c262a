"""The equations of Yang, Lee, Park (2024)."""
from __future__ import annotations

from .paper import Equation, Paper

EQUATIONS = (
    # Network formulation
    Equation(
        "1", "II-A",
        "h_i = f_i(a_i)",
        r"\mathbf h_i = f_i(\mathbf a_i)",
        "The output of a layer: the activation function, applied unit by unit.",
    ),
    Equation(
        "2", "II-A",
        "a_i = W_i h_{i-1} + b_i",
        r"\mathbf a_i = \mathbf W_i \mathbf h_{i-1} + \mathbf b_i",
        "The pre-activation of a layer: an affine map of the output of the layer below.",
    ),
    Equation(
        "3", "II-A",
        "W_i <- W_i + Delta W_i",
        r"\mathbf W_i \leftarrow \mathbf W_i + \Delta \mathbf W_i",
        "The learning rule says how the weights move.",
    ),
    Equation(
        "4", "II-A",
        "b_i <- b_i + Delta b_i",
        r"\mathbf b_i \leftarrow \mathbf b_i + \Delta \mathbf b_i",
        "The learning rule says how the biases move.",
    ),
    Equation(
        "5", "II-A",
        "e = dL/da_L",
        r"\mathbf e = \frac{\partial \mathcal L}{\partial \mathbf a_L}",
        "The output error is the gradient of the loss at the last pre-activation. It is y - y* for the "
        "squared error with linear output, and for cross-entropy with softmax.",
    ),

    # Sequential feedback
    Equation(
        "6", "II-B",
        "delta_L^BP = dL/da_L = e",
        r"\delta_L^{\text{BP}} = \frac{\partial \mathcal L}{\partial \mathbf a_L} = \mathbf e",
        "Backpropagation starts from the output error.",
    ),
    Equation(
        "7", "II-B",
        "delta_i^BP = dL/da_i = (W_{i+1}^T delta_{i+1}^BP) .* f_i'(a_i)",
        r"\delta_i^{\text{BP}} = \frac{\partial \mathcal L}{\partial \mathbf a_i} = \left(\mathbf "
        r"W_{i+1}^T \delta_{i+1}^{\text{BP}}\right) \odot f_i'(\mathbf a_i)",
        "The error goes down through the transposed forward weights, layer by layer.",
    ),
    Equation(
        "8", "II-B",
        "Delta W_i^BP = -eta delta_i^BP h_{i-1}^T",
        r"\Delta \mathbf W_i^{\text{BP}} = -\eta\, \delta_i^{\text{BP}} \mathbf h_{i-1}^T",
        "The weight update of backpropagation.",
    ),
    Equation(
        "9", "II-B",
        "Delta b_i^BP = -eta delta_i^BP",
        r"\Delta \mathbf b_i^{\text{BP}} = -\eta\, \delta_i^{\text{BP}}",
        "The bias update of backpropagation.",
    ),
    Equation(
        "10", "II-B",
        "delta_L^FA = delta_L^BP = dL/da_L = e",
        r"\delta_L^{\text{FA}} = \delta_L^{\text{BP}} = \frac{\partial \mathcal L}{\partial \mathbf "
        r"a_L} = \mathbf e",
        "Feedback alignment starts from the same output error.",
    ),
    Equation(
        "11", "II-B",
        "delta_i^FA = (B_{i+1} delta_{i+1}^FA) .* f_i'(a_i)",
        r"\delta_i^{\text{FA}} = \left(\mathbf B_{i+1} \delta_{i+1}^{\text{FA}}\right) \odot "
        r"f_i'(\mathbf a_i)",
        "The error goes down through fixed random weights, which replace the transposed forward weights.",
    ),
    Equation(
        "12", "II-B",
        "Delta W_i^FA = -eta delta_i^FA h_{i-1}^T",
        r"\Delta \mathbf W_i^{\text{FA}} = -\eta\, \delta_i^{\text{FA}} \mathbf h_{i-1}^T",
        "The weight update of feedback alignment.",
    ),
    Equation(
        "13", "II-B",
        "Delta b_i^FA = -eta delta_i^FA",
        r"\Delta \mathbf b_i^{\text{FA}} = -\eta\, \delta_i^{\text{FA}}",
        "The bias update of feedback alignment.",
    ),
    Equation(
        "14", "II-B",
        "delta_i^frSF = ((M_{i+1} .* sign(W_{i+1}^T)) delta_{i+1}^frSF) .* f_i'(a_i)",
        r"\delta_i^{\text{frSF}} = \left(\left(\mathbf M_{i+1} \odot \text{sign}\left(\mathbf "
        r"W_{i+1}^T\right)\right) \delta_{i+1}^{\text{frSF}}\right) \odot f_i'(\mathbf a_i)",
        "The feedback weights have the signs of the forward weights and fixed random magnitudes M > 0.",
    ),

    # Direct feedback
    Equation(
        "15", "II-C",
        "delta_L^DFA = delta_L^BP = dL/da_L = e",
        r"\delta_L^{\text{DFA}} = \delta_L^{\text{BP}} = \frac{\partial \mathcal L}{\partial \mathbf "
        r"a_L} = \mathbf e",
        "Direct feedback alignment starts from the same output error.",
    ),
    Equation(
        "16", "II-C",
        "delta_i^DFA = (B_{i+1} e) .* f_i'(a_i)",
        r"\delta_i^{\text{DFA}} = (\mathbf B_{i+1} \mathbf e) \odot f_i'(\mathbf a_i)",
        "Every hidden layer receives the output error itself, through fixed random weights of its own.",
    ),
    Equation(
        "17", "II-C",
        "Delta W_i^DFA = -eta delta_i^DFA h_{i-1}^T",
        r"\Delta \mathbf W_i^{\text{DFA}} = -\eta\, \delta_i^{\text{DFA}} \mathbf h_{i-1}^T",
        "The weight update of direct feedback alignment.",
    ),
    Equation(
        "18", "II-C",
        "Delta b_i^DFA = -eta delta_i^DFA",
        r"\Delta \mathbf b_i^{\text{DFA}} = -\eta\, \delta_i^{\text{DFA}}",
        "The bias update of direct feedback alignment.",
    ),

    # Local alignment support
    Equation(
        "19", "III-A",
        "y_i = B_{i+1}^T h_i",
        r"\mathbf y_i = \mathbf B_{i+1}^T \mathbf h_i",
        "The output of the local module on hidden layer i <= L-2: one linear map, without bias.",
    ),
    Equation(
        "20", "III-A",
        "L_i = ||y_i - a_L||^2",
        r"\mathcal L_i = \|\mathbf y_i - \mathbf a_L\|^2",
        "The loss of a LAS module: the module should predict the output of the network.",
        corrected="L_i = 1/2 ||y_i - a_L||^2",
        corrected_tex=r"\mathcal L_i = \tfrac12 \|\mathbf y_i - \mathbf a_L\|^2",
        reason="(21) is meant to be the gradient step of this loss. The gradient step of the printed loss is twice as "
               "long.",
    ),
    Equation(
        "21", "III-A",
        "Delta B_{i+1} = -eta h_i (a_L - y_i)^T",
        r"\Delta \mathbf B_{i+1} = -\eta\, \mathbf h_i (\mathbf a_L - \mathbf y_i)^T",
        "The weight update of a LAS module, which descends the loss (20).",
        corrected="Delta B_{i+1} = +eta h_i (a_L - y_i)^T",
        corrected_tex=r"\Delta \mathbf B_{i+1} = +\eta\, \mathbf h_i (\mathbf a_L - \mathbf y_i)^T",
        reason="With the printed sign the step climbs the loss (20).",
    ),
    Equation(
        "22", "III-A",
        "delta_L^LAS = dL/da_L = e = y* - y",
        r"\delta_L^{\text{LAS}} = \frac{\partial \mathcal L}{\partial \mathbf a_L} = \mathbf e = "
        r"\mathbf y^* - \mathbf y",
        "LAS starts from the same output error.",
        corrected="delta_L^LAS = dL/da_L = e = y - y*",
        corrected_tex=r"\delta_L^{\text{LAS}} = \frac{\partial \mathcal L}{\partial \mathbf a_L} = "
                      r"\mathbf e = \mathbf y - \mathbf y^*",
        reason="By (5), e is the gradient, which is y - y*. With the printed sign, the step W - eta delta h^T "
               "climbs the loss.",
    ),
    Equation(
        "23", "III-A",
        "delta_{L-1}^LAS = delta_{L-1}^BP = (W_L^T e) .* f_{L-1}'(a_{L-1})",
        r"\delta_{L-1}^{\text{LAS}} = \delta_{L-1}^{\text{BP}} = (\mathbf W_L^T \mathbf e) \odot "
        r"f_{L-1}'(\mathbf a_{L-1})",
        "The last hidden layer has no module. It learns as under backpropagation.",
        note="One scan of the paper has f_L' and another has f_{L-1}'. This may be a fault of the scan and not "
             "of the paper. Only with f_{L-1}' is delta the derivative that the paper says it is.",
    ),
    Equation(
        "24", "III-A",
        "delta_i^LAS = (B_{i+1} e) .* f_i'(a_i)",
        r"\delta_i^{\text{LAS}} = (\mathbf B_{i+1} \mathbf e) \odot f_i'(\mathbf a_i)",
        "Every hidden layer i <= L-2 receives the output error through the weights of its own module.",
    ),

    # Local target alignment support
    Equation(
        "25", "III-B",
        "L_i = ||y_i - y*||^2",
        r"\mathcal L_i = \|\mathbf y_i - \mathbf y^*\|^2",
        "The loss of an LTAS module, for regression: the module should predict the target.",
        corrected="L_i = 1/2 ||y_i - y*||^2",
        corrected_tex=r"\mathcal L_i = \tfrac12 \|\mathbf y_i - \mathbf y^*\|^2",
        reason="(27) is meant to be the gradient step of (25) and of (26). The gradient step of the printed (25) is "
               "twice as long.",
    ),
    Equation(
        "26", "III-B",
        "L_i = L_cross-entropy(y_i, y*)",
        r"\mathcal L_i = \mathcal L_{\text{cross-entropy}}(\mathbf y_i, \mathbf y^*)",
        "The loss of an LTAS module, for classification: the module should predict the target, and y_i is the softmax "
        "of (19).",
    ),
    Equation(
        "27", "III-B",
        "Delta B_{i+1} = -eta h_i (y* - y_i)^T",
        r"\Delta \mathbf B_{i+1} = -\eta\, \mathbf h_i (\mathbf y^* - \mathbf y_i)^T",
        "The weight update of an LTAS module, which descends its loss, (25) or (26).",
        corrected="Delta B_{i+1} = +eta h_i (y* - y_i)^T",
        corrected_tex=r"\Delta \mathbf B_{i+1} = +\eta\, \mathbf h_i (\mathbf y^* - \mathbf y_i)^T",
        reason="With the printed sign the step climbs both losses.",
    ),

    # Alignment in linear networks
    Equation(
        "28", "III-D",
        "a_L = W_L W_{L-1} ... W_{i+1} h_i",
        r"\mathbf a_L = \mathbf W_L \mathbf W_{L-1} \cdots \mathbf W_{i+1} \mathbf h_i",
        "In a linear network one matrix leads from each hidden layer to the output, so a module can "
        "learn this matrix.",
        kind="property",
        note="This is true only without biases. Biases add a constant, which a module without bias cannot "
             "express.",
    ),
    Equation(
        "29", "III-D",
        "delta_i^BP = W_{i+1}^T W_{i+2}^T ... W_L^T e",
        r"\delta_i^{\text{BP}} = \mathbf W_{i+1}^T \mathbf W_{i+2}^T \cdots \mathbf W_L^T \mathbf e",
        "The transpose of that matrix carries the error down: with B_{i+1} = W_{i+1}^T ... W_L^T, direct "
        "feedback is backpropagation.",
        kind="property",
        note="This is true only for linear hidden layers. It stays true with biases, but then the fixed point of the "
             "module is in general not this product, see (28).",
    ),
    Equation(
        "30", "III-D",
        "Delta B_i = -eta h_{i-1} h_{i-1}^T (W_i^T ... W_L^T - B_i)",
        r"\Delta \mathbf B_i = -\eta\, \mathbf h_{i-1} \mathbf h_{i-1}^T (\mathbf W_i^T \cdots \mathbf "
        r"W_L^T - \mathbf B_i)",
        "In a linear network a LAS module moves towards that product, so that alignment can become exact.",
        kind="property",
        corrected="Delta B_i = +eta h_{i-1} h_{i-1}^T (W_i^T ... W_L^T - B_i)",
        corrected_tex=r"\Delta \mathbf B_i = +\eta\, \mathbf h_{i-1} \mathbf h_{i-1}^T (\mathbf W_i^T "
                      r"\cdots \mathbf W_L^T - \mathbf B_i)",
        reason="With the printed sign, which is that of (21), B moves away from the equilibrium that the paper "
               "names.",
        note="B reaches the product if there are no biases, if S = E[h h^T] has full rank, if 0 < eta < 2 / "
             "lambda_max(S), and if W is fixed.",
    ),
)

LAS = Paper(
    key="LAS",
    title="Yang, Lee, Park (2024), Direct Feedback Learning With Local Alignment Support",
    reading="y* is the target. L is both the loss and the number of layers. The lines of code compute "
            "gradients for a whole batch. The factor -eta of every Delta W, Delta b and Delta B comes from "
            "the optimiser, (3)-(4).",
    equations=EQUATIONS,
)
