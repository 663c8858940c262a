"""Estimators of scikit-learn that learn by any rule of this library.

    BackpropFreeClassifier("dfa").fit(X, y).predict(X)

Their parameters are those of scikit-learn's MLPClassifier and MLPRegressor, where they mean the same.  If one of
activation, solver, alpha, batch_size and learning_rate_init is left out, it is what suits the rule, see
`settings.suited`.  `import nobackprop` does not import this module, as scikit-learn takes a second to come.
"""
from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin, MultiOutputMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import r2_score
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from . import models, network, workers
from .data import Dataset, one_hot
from .data.tasks import PROBABILITIES, TASKS
from .errors import InputError, brief, check_name, integer, number, yes_or_no
from .kernels.activation import ACTIVATIONS
from .learn import Run, cuts, step
from .network import Network, Weighted
from .optim import OPTIMIZERS, SGD
from .predictor import Predictor
from .rules import Rule, describe, get
from .settings import Settings, choose, suited
from .tree import leaves, tree_map

try:
    from sklearn.utils.validation import validate_data
except ImportError:  # scikit-learn 1.5
    def validate_data(estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the method that does in scikit-learn 1.5 what the function does in later versions.

        Examples
        --------
        >>> validate_data(BackpropFreeClassifier(), np.ones((2, 1)), reset=True).shape
        (2, 1)
        """
        return estimator._validate_data(*args, **kwargs)

ROWS = 1024  # samples that go through the network at once in prediction
LOGISTIC = {"logistic": "sigmoid"}  # what scikit-learn calls an activation, and what it is called here


def weighs(rule: Rule) -> bool:
    """Say whether a sample of weight 2 teaches a rule the same as the sample twice.

    It is measured: a small network takes three steps with weights, and another one with repeated samples.  It is not so
    if the rule compares samples with each other, if it learns from something else than errors, if it is not linear in
    the errors, or if it draws numbers for each sample.

    Parameters
    ----------
    rule : Rule

    Returns
    -------
    bool

    Examples
    --------
    >>> weighs(get("las")), weighs(get("pc"))
    (True, False)
    """
    task = rule.learns[0]
    net = models.mlp((5,), 3, rule.trial_sizes((6, 7, 8)), str(rule.defaults.get("activation", "tanh")),
                     TASKS[task].loss)
    rng, counts = np.random.default_rng(0), np.array([1, 3, 2, 1, 1, 4])
    x, y = rng.standard_normal((6, 5)), TASKS[task].rows({
        "classes": np.arange(6) % 3, "numbers": np.arange(18).reshape(6, 3) % 5,
        "labels": np.arange(18).reshape(6, 3) % 2}[task], 3, "float64")

    def learnt(net: Network, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        params, shapes = network.init(net, np.random.default_rng(1), (5,), "float64")
        state = rule.init(np.random.default_rng(2), net, params, shapes)
        opts, draw = (SGD(params, 0.1), SGD(state, 0.1)), np.random.default_rng(3)
        for _ in range(3):
            step(net, rule, params, state, *opts, x, y, draw)
        return [array for _, array in leaves([params, state])]
    one = learnt(Weighted(net.blocks, net.loss, counts * (6 / counts.sum())), x, y)
    two = learnt(net, x.repeat(counts, 0), y.repeat(counts, 0))
    return all(bool(abs(a - b).max(initial=0) < 1e-9) for a, b in zip(one, two, strict=True))


class Learning(Run):
    """A run that is fed with other samples from call to call, and measures nothing but its training loss.

    Parameters
    ----------
    net, rule, settings, seed
        As of `learn.Run`.
    task : str
        What is learnt, see `data.tasks`.
    features, outputs : int
        The numbers of features and of outputs.

    Examples
    --------
    >>> from nobackprop.rules import get
    >>> run = Learning(models.mlp((3,), 2, (4,)), get("dfa"), Settings(), 0, "classes", 3, 2)
    >>> run.feed(np.ones((5, 3)), np.eye(2)[[0, 1, 0, 1, 1]])
    >>> sorted(run.epoch())
    ['epoch', 'train_loss']
    """

    def __init__(self, net: Network, rule: Rule, settings: Settings, seed: int, task: str, features: int,
                 outputs: int):
        x, y = np.zeros((2, features), settings.dtype), np.zeros((2, outputs), settings.dtype)
        y = y[:, 0].astype(np.int64) if task == "classes" else y
        super().__init__(net, rule, Dataset("y", outputs, x, y, x, y, x, y, task=task), settings, seed)

    def feed(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take samples (N, F), the rows of their targets (N, C) and their weights (N,) for the next epochs."""
        dtype = self.settings.dtype
        self.x, self.y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
        self.cuts = cuts(len(x), self.settings.batch_size) if len(x) else []
        self.net = Network(self.net.blocks, self.net.loss)
        if weights is not None:
            weights = weights * (len(weights) / weights.sum())
            self.net = Weighted(self.net.blocks, self.net.loss, weights.astype(dtype))

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """Return a_L (N, C) for samples (N, F)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.concatenate([self.rule.predict(self.net, self.params, x[i:i + ROWS].astype(
                self.settings.dtype, copy=False)) for i in range(0, len(x), ROWS)])

    def _measure(self) -> dict[str, Any]:
        return {}


class _Estimator(BaseEstimator):  # type: ignore[misc,unused-ignore]
    """What both estimators share: their parameters, and the loop over epochs."""

    _run: Learning
    loss_curve_: list[float]
    validation_scores_: Any

    def __init__(self, rule: str | Rule = "las", hidden_layer_sizes: Any = (128, 128), activation: str | None = None,
                 solver: str | None = None, *, alpha: float | None = None, batch_size: int | None = None,
                 learning_rate_init: float | None = None, max_iter: int = 200, random_state: Any = None,
                 tol: float = 1e-4, verbose: bool = False, warm_start: bool = False, early_stopping: bool = False,
                 validation_fraction: float = 0.1, n_iter_no_change: int = 10):
        self.rule = rule
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change

    # what the two subclasses say
    def _rows(self, y: np.ndarray, weights: np.ndarray | None, first: bool, classes: Any) -> tuple[str, np.ndarray]:
        """The task and the targets as rows (N, C); what `predict` needs of them is kept if it is the first call."""
        raise NotImplementedError

    def _score(self, outputs: np.ndarray, rows: np.ndarray, weights: np.ndarray | None) -> float:
        """How good outputs (N, C) are, the larger, the better."""
        raise NotImplementedError

    def fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train until the loss, or under early stopping the validation score, gets no better, at most max_iter epochs.

        Parameters
        ----------
        X : array-like (N, F)
            The samples.
        y : array-like (N,) or (N, k)
            Their targets.
        sample_weight : array-like (N,), optional
            How much each sample counts.  A sample of weight 2 counts as if it were there twice, and one of weight 0 as
            if it were not there.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If the rule cannot learn such targets, such a network or with such weights.
        Diverged
            If the loss or the parameters are no longer finite numbers.
        """
        going = yes_or_no("warm_start", self.warm_start) and hasattr(self, "_run")
        count, tol = integer("n_iter_no_change", self.n_iter_no_change, 1), number("tol", self.tol, "finite")
        with workers.limit(1):
            x, rows, weights, seed = self._begin(X, y, sample_weight, not going, None)
            run, held_out = self._run, None
            if yes_or_no("early_stopping", self.early_stopping):
                part = number("validation_fraction", self.validation_fraction, "positive", below=1.0)
                kept, held = train_test_split(
                    np.arange(len(x)), test_size=part, random_state=seed,
                    stratify=rows.argmax(1) if run.data.task == "classes" else None)
                held_out = x[held], rows[held], None if weights is None else weights[held]
                x, rows, weights = x[kept], rows[kept], None if weights is None else weights[kept]
                self.validation_scores_ = self.validation_scores_ or []
            run.feed(x, rows, weights)
            best, still, found = -np.inf, 0, None
            for _ in range(run.settings.epochs):
                self._epoch()
                now = -self.loss_
                if held_out is not None:
                    now = self._score(run.outputs(held_out[0]), *held_out[1:])
                    self.validation_scores_.append(now)
                    if now > best:
                        found = tree_map(np.copy, run.params)
                still = still + 1 if now < best + tol else 0
                best = max(best, now)
                if still > count:
                    break
            else:
                warnings.warn(f"training ended after max_iter={self.max_iter} epochs, and still got better",
                              ConvergenceWarning, stacklevel=2)
            if held_out is None:
                self.best_loss_ = -best
            else:
                run.params, self.best_validation_score_ = found, best
            self._end()
        return self

    def _partial_fit(self, X: ArrayLike, y: ArrayLike, classes: Any, sample_weight: ArrayLike | None) -> Self:
        """Train for one epoch, and go on from what earlier calls have reached."""
        if self.early_stopping:
            raise InputError("partial_fit sees a part of the samples: expected early_stopping=False")
        with workers.limit(1):
            x, rows, weights, _ = self._begin(X, y, sample_weight, not hasattr(self, "_run"), classes)
            self._run.feed(x, rows, weights)
            self._epoch()
            self._end()
        return self

    def _begin(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None, first: bool,
               classes: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, int]:
        """Check all that came, and make the run if it is the first call; samples, rows, weights and the seed."""
        came: tuple[Any, Any] = validate_data(self, X, y, multi_output=True, dtype=(np.float64, np.float32),
                                              reset=first, y_numeric=isinstance(self, RegressorMixin))
        x, targets = came[0], came[1].toarray() if issparse(came[1]) else came[1]
        both = targets
        if isinstance(self, RegressorMixin) and targets.dtype.kind not in "biuf":
            what = "texts" if targets.dtype.kind in "US" else brief(targets.ravel()[0])
            raise InputError(f"y holds {what}, expected numbers")
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = column_or_1d(targets, warn=True)
        weights = self._weights(sample_weight, x)
        if weights is not None:
            there = weights > 0
            x, targets, weights = x[there], targets[there], weights[there]
        if weights is not None and isinstance(self, ClassifierMixin) and targets.ndim == 1 and first \
                and classes is None and len(np.unique(targets)) < 2 <= len(np.unique(both)):
            raise InputError("sample_weight is 0 for all samples of every class but one, expected 2 or more classes")
        task, rows = self._rows(targets, weights, first, classes)
        rule = get(self.rule) if isinstance(self.rule, str) else self.rule
        if not isinstance(rule, Rule):
            raise InputError(f"rule is {brief(rule)}, expected a Rule or the name of one")
        settings, net = self._wanted(task, rule, x, rows.shape[1])
        if weights is not None and (weights == weights[0]).all():
            weights = None
        if weights is not None and not weighs(rule):
            raise InputError(f"rule {describe(rule)} takes no sample weights: a sample of weight 2 does not teach it "
                             "the same as the sample twice")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if first:
            self._run = Learning(net, rule, settings, seed, task, x.shape[1], rows.shape[1])
            self.loss_curve_ = []
            self.validation_scores_ = None
            self.n_outputs_ = rows.shape[1]
        elif (net, rule, task) != (self._run.net, self._run.rule, self._run.data.task):
            raise InputError("the rule, the network or the kind of the targets is another one than before, expected "
                             "the same: training goes on")
        else:
            self._run.settings = settings
            for opt in self._run.optimizers:
                opt.weight_decay = settings.weight_decay
        return x, rows, weights, seed

    def _weights(self, sample_weight: ArrayLike | None, x: np.ndarray) -> np.ndarray | None:
        """The weights of samples as they came, checked."""
        if sample_weight is None:
            return None
        weights: np.ndarray = _check_sample_weight(sample_weight, x, dtype=x.dtype)
        if (weights < 0).any() or not weights.any():
            raise InputError(f"sample_weight holds {'negative numbers' if weights.any() else 'zeros only'}, expected "
                             "weights from 0 on, and not zero for all samples")
        return weights

    def _wanted(self, task: str, rule: Rule, x: np.ndarray, outputs: int) -> tuple[Settings, Network]:
        """The settings and the network that the parameters ask for."""
        given = {"loss": TASKS[task].loss, "dtype": x.dtype.name, "epochs": self.max_iter, "optimizer": self.solver,
                 "lr": self.learning_rate_init, "batch_size": self.batch_size,
                 "activation": LOGISTIC.get(str(self.activation), self.activation)}
        for own, kind in (("max_iter", integer), ("batch_size", integer), ("learning_rate_init", number)):
            if (value := getattr(self, own)) is not None:  # by the names that were typed
                kind(own, value, *((1,) if kind is integer else ()))
        for own, known in (("solver", OPTIMIZERS), ("activation", {**ACTIVATIONS, **LOGISTIC})):
            if (value := getattr(self, own)) is not None:
                check_name(own, value, known)
        if task not in rule.learns:
            raise InputError(f"rule {describe(rule)} can learn {' and '.join(rule.learns)} only, y has {task}")
        found = suited({}, rule, {name: value for name, value in given.items() if value is not None})
        if self.alpha is not None:
            decay = number("alpha", self.alpha, "non-negative") / min(found["batch_size"], len(x))
            found["weight_decay"] = decay  # as of MLPClassifier, whose penalty is divided by the samples of a batch
        sizes = self.hidden_layer_sizes
        sizes = tuple(sizes) if isinstance(sizes, list | tuple | np.ndarray) else (sizes,)
        sizes = tuple(integer("hidden_layer_sizes", size, 1) for size in sizes)
        return choose(Settings, found), models.mlp((x.shape[1],), outputs, sizes, found["activation"], found["loss"])

    def _epoch(self) -> None:
        """Train for one epoch, and keep its loss."""
        self.loss_ = self._run.epoch()["train_loss"]
        self.loss_curve_.append(self.loss_)
        self.n_iter_ = len(self._run.history)
        if self.verbose:
            print(f"Iteration {self.n_iter_}, loss = {self.loss_:.8f}")

    def _end(self) -> None:
        """Let go of the samples, which are no part of a fitted estimator."""
        self._run.feed(np.empty((0, self.n_features_in_)), np.empty((0, self.n_outputs_)))

    def _outputs(self, X: ArrayLike) -> np.ndarray:
        """a_L (N, C) for samples."""
        check_is_fitted(self, "_run")
        return self._run.outputs(validate_data(self, X, dtype=(np.float64, np.float32), reset=False))

    def _predictor(self, classes: Any, **shift: Any) -> Predictor:
        """The network with all that prediction needs."""
        check_is_fitted(self, "_run")
        run = self._run
        return Predictor(run.net, tree_map(np.copy, run.params), (self.n_features_in_,), classes, rule=run.rule,
                         task=run.data.task, **shift)


class BackpropFreeClassifier(ClassifierMixin, _Estimator):  # type: ignore[misc,unused-ignore]
    """A fully connected network that learns classes, or labels of which each is yes or no, by a rule of this library.

    Parameters
    ----------
    rule : str or Rule
        The learning rule, as `rules.get` takes it: "bp", "dfa", "asap:k=4", "./mine.py:MyRule".
    hidden_layer_sizes : int or sequence of int
        The sizes of the hidden layers, from the input up.
    activation : str, optional
        A name in `kernels.activation.ACTIVATIONS`; "logistic" is "sigmoid".
    solver : str, optional
        A name in `optim.OPTIMIZERS`; "sgd" has no momentum.
    alpha : float, optional
        The strength of the L2 penalty, which is divided by the number of samples in a batch, as of MLPClassifier.  The
        optimiser's weight decay is alpha / batch_size.
    batch_size : int, optional
        The number of samples in a training step.
    learning_rate_init : float, optional
        The learning rate.
    max_iter : int
        The largest number of epochs.
    random_state : int, RandomState or None
        What all that is drawn at random comes from.
    tol : float
        By how much the loss, or the validation score, must get better.
    verbose : bool
        Whether the loss of every epoch is printed.
    warm_start : bool
        Whether `fit` goes on from what the last call has reached.
    early_stopping : bool
        Whether part of the samples is held out.  Then the score of these decides when training ends, and the network is
        the one with the best score.
    validation_fraction : float
        Which part is held out, above 0 and below 1.
    n_iter_no_change : int
        Training ends if more epochs than this, one after the other, got no better.

    Attributes
    ----------
    classes_ : array
        The classes, in the order of the outputs; of labels 0, 1, ... up to their number.
    loss_curve_, loss_ : list of float, float
        The training loss of every epoch, without the penalty, and the last of them.
    best_loss_, best_validation_score_ : float
        The best loss or, under early stopping, the best score of the last call of `fit`.
    validation_scores_ : list of float or None
        The score of every epoch under early stopping.
    n_iter_, n_features_in_, n_outputs_ : int
        The numbers of epochs, features and outputs.
    feature_names_in_ : array of str
        The names of the features, if X was a frame.

    Notes
    -----
    Samples are taken as they are: put a StandardScaler in front.  The type of numbers is that of X, float64 unless X is
    float32.  Training uses one BLAS thread, so that its result does not depend on their number.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X, y = load_iris(return_X_y=True)
    >>> model = make_pipeline(StandardScaler(), BackpropFreeClassifier("dfa", tol=0.01, random_state=0)).fit(X, y)
    >>> model.predict(X[:3]), model.score(X, y) > 0.8
    (array([0, 0, 0]), True)
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # what scikit-learn 1.5 reads
        return {"multilabel": True}

    def partial_fit(self, X: ArrayLike, y: ArrayLike, classes: ArrayLike | None = None,
                    sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these samples, and go on from what earlier calls have reached.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.
        classes : array-like, optional
            All classes that later calls will hold; the first call needs it, unless y holds labels of yes and no.

        Returns
        -------
        self

        Raises
        ------
        InputError
            As of `fit`, and if early_stopping is True.
        """
        return self._partial_fit(X, y, classes, sample_weight)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the class of each sample (N,), or 0 and 1 for each label (N, k)."""
        out = self._outputs(X)
        names: Any = self.classes_
        return TASKS[self._run.data.task].answer(out, names, None, None)

    def predict_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the probabilities of all classes, or of each label, (N, C)."""
        out = self._outputs(X)
        return np.asarray(PROBABILITIES[self._run.net.loss](out))

    def predict_log_proba(self, X: ArrayLike) -> np.ndarray:
        """Return the logarithms of what `predict_proba` returns."""
        with np.errstate(divide="ignore"):
            found: np.ndarray = np.log(self.predict_proba(X))
            return found

    def predictor(self) -> Predictor:
        """Return a copy of the network as a `Predictor`, whose `save` writes a file that holds no code."""
        check_is_fitted(self, "_run")
        return self._predictor(self.classes_.tolist())

    def _rows(self, y: np.ndarray, weights: np.ndarray | None, first: bool, classes: Any) -> tuple[str, np.ndarray]:
        kind = type_of_target(y)
        if kind == "multilabel-indicator":
            if first:
                self.classes_ = np.arange(y.shape[1])
            return "labels", y
        if kind not in ("binary", "multiclass"):
            check_classification_targets(y)  # says what they are if they are no classes
            raise InputError(f"y holds {y.shape[1]} classes for each sample ({kind}), expected one, or 0 and 1 for "
                             "each label")
        if first:
            self.classes_ = np.unique(y if classes is None else classes)
        elif classes is not None and not np.array_equal(self.classes_, np.unique(classes)):
            raise InputError(f"classes is {brief(classes)}, expected {brief(self.classes_.tolist())} as before")
        if len(self.classes_) < 2:
            raise InputError("y has one class only, expected 2 or more classes")
        strange = np.setdiff1d(y, self.classes_)
        if len(strange):
            raise InputError(f"y holds {brief(strange.tolist()[0])}, expected one of the classes "
                             f"{brief(self.classes_.tolist())}")
        return "classes", one_hot(np.searchsorted(self.classes_, y), len(self.classes_), "float64")

    def _score(self, outputs: np.ndarray, rows: np.ndarray, weights: np.ndarray | None) -> float:
        answer = TASKS[self._run.data.task].answer
        right = answer(outputs, range(self.n_outputs_), None, None) == answer(rows - 0.5, range(self.n_outputs_), None,
                                                                              None)
        return float(np.average(right.reshape(len(rows), -1).all(1), weights=weights))


class BackpropFreeRegressor(RegressorMixin, MultiOutputMixin, _Estimator):  # type: ignore[misc,unused-ignore]
    """A fully connected network that learns one or several numbers for each sample by a rule of this library.

    Parameters
    ----------
    rule : str or Rule
        The learning rule, as `rules.get` takes it: "bp", "dfa", "asap:k=4", "./mine.py:MyRule".
    hidden_layer_sizes : int or sequence of int
        The sizes of the hidden layers, from the input up.
    activation : str, optional
        A name in `kernels.activation.ACTIVATIONS`; "logistic" is "sigmoid".
    solver : str, optional
        A name in `optim.OPTIMIZERS`; "sgd" has no momentum.
    alpha : float, optional
        The strength of the L2 penalty, which is divided by the number of samples in a batch, as of MLPRegressor.  The
        optimiser's weight decay is alpha / batch_size.
    batch_size : int, optional
        The number of samples in a training step.
    learning_rate_init : float, optional
        The learning rate.
    max_iter : int
        The largest number of epochs.
    random_state : int, RandomState or None
        What all that is drawn at random comes from.
    tol : float
        By how much the loss, or the validation score, must get better.
    verbose : bool
        Whether the loss of every epoch is printed.
    warm_start : bool
        Whether `fit` goes on from what the last call has reached.
    early_stopping : bool
        Whether part of the samples is held out.  Then the score of these decides when training ends, and the network is
        the one with the best score.
    validation_fraction : float
        Which part is held out, above 0 and below 1.
    n_iter_no_change : int
        Training ends if more epochs than this, one after the other, got no better.

    Attributes
    ----------
    y_mean_, y_scale_ : array (k,)
        What is subtracted from the targets, and what they are then divided by: the mean and the standard deviation of
        those of the first call of `fit` or `partial_fit`.
    loss_curve_, loss_ : list of float, float
        The training loss of every epoch, without the penalty, and the last of them.
    best_loss_, best_validation_score_ : float
        The best loss or, under early stopping, the best score of the last call of `fit`.
    validation_scores_ : list of float or None
        The score of every epoch under early stopping.
    n_iter_, n_features_in_, n_outputs_ : int
        The numbers of epochs, features and outputs.
    feature_names_in_ : array of str
        The names of the features, if X was a frame.

    Notes
    -----
    As of `BackpropFreeClassifier`.  The network learns targets of mean 0 and standard deviation 1, and `loss_curve_` is
    the loss of these.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = BackpropFreeRegressor("dfa", (16,), tol=1e-3, random_state=0).fit(10 * X, y)
    >>> model.predict(X[:3]).shape, model.score(10 * X, y) > 0.4
    ((3,), True)
    """

    def partial_fit(self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Train for one epoch on these samples, and go on from what earlier calls have reached.

        Parameters
        ----------
        X, y, sample_weight
            As of `fit`.

        Returns
        -------
        self

        Raises
        ------
        InputError
            As of `fit`, and if early_stopping is True.
        """
        return self._partial_fit(X, y, None, sample_weight)

    def predict(self, X: ArrayLike) -> np.ndarray:
        """Return the numbers for each sample, (N, k), or (N,) if there is one for each."""
        out = self._outputs(X)
        return TASKS["numbers"].answer(out, (), self.y_mean_, self.y_scale_)

    def predictor(self) -> Predictor:
        """Return a copy of the network as a `Predictor`, whose `save` writes a file that holds no code."""
        check_is_fitted(self, "_run")
        return self._predictor([f"y{i}" for i in range(self.n_outputs_)], y_mean=self.y_mean_, y_scale=self.y_scale_)

    def _rows(self, y: np.ndarray, weights: np.ndarray | None, first: bool, classes: Any) -> tuple[str, np.ndarray]:
        y = y[:, None] if y.ndim == 1 else y
        if first:
            self.y_mean_ = np.average(y, axis=0, weights=weights)
            scale = np.average((y - self.y_mean_) ** 2, axis=0, weights=weights) ** 0.5
            constant = scale <= 10 * np.finfo("float64").eps * abs(self.y_mean_)  # up to rounding
            self.y_scale_ = np.where(constant, 1.0, scale)
        return "numbers", (y - self.y_mean_) / self.y_scale_

    def _score(self, outputs: np.ndarray, rows: np.ndarray, weights: np.ndarray | None) -> float:
        return float(r2_score(rows, outputs, sample_weight=weights))
