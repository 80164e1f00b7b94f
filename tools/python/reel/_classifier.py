"""The estimator. scikit-learn knows it by what it does (PEP 544's structural typing): neither this module nor a fit imports scikit-learn."""

import inspect
import os
import sys

import numpy

from . import _library


def show(progress):
    """A callback that shows how training goes, on one line of the standard error."""
    left = "" if progress.seconds_left < 0 else f", {progress.seconds_left:.0f} s left"
    if progress.batch:
        end = "\n" if progress.finished and progress.epoch == progress.epochs else ""
        print(f"\r{progress.model}: epoch {progress.epoch} of {progress.epochs}, batch {progress.batch} of {progress.batches}, "
              f"loss {progress.loss:.4f}{left}  ", end=end, file=sys.stderr, flush=True)


def _not_fitted():
    """scikit-learn's exception where it is there; it is a ValueError, as Reel's own."""
    if "sklearn" in sys.modules:
        from sklearn.exceptions import NotFittedError as error
    else:
        error = _library.Error
    return error("this TextClassifier is not fitted yet; call fit(), or reel.load()")


def _texts(X):
    if isinstance(X, (str, bytes)) or getattr(X, "ndim", 1) != 1:
        raise _library.Error("the texts must be a list, a one-dimensional array or a Series of strings")
    texts = list(X)
    for i, text in enumerate(texts):
        if not isinstance(text, str):
            raise _library.Error(f"text {i} is {text!r:.40}, of the type {type(text).__name__}; make it a string, or leave it out")
    return texts


def _is_lists(y):
    return getattr(y, "ndim", 1) == 1 and len(y) > 0 and all(isinstance(labels, (list, tuple, set, frozenset)) for labels in y)


def _is_matrix(y):
    return getattr(y, "ndim", 1) == 2 or (len(y) > 0 and all(isinstance(row, numpy.ndarray) for row in y))


def _matrix(y):
    """An indicator of zeros and ones, dense, sparse or a DataFrame, as an array."""
    matrix = numpy.asarray(y.toarray() if hasattr(y, "toarray") else y)
    if matrix.ndim != 2 or not numpy.isin(matrix, (0, 1)).all():
        raise _library.Error("an indicator of labels must hold 0 and 1 alone")
    return matrix.astype(bool)


class TextClassifier:
    """A text classifier of Reel's zoo.

    X is a list, an array or a Series of strings. y may be one label a text (strings, numbers: exactly one is predicted), an indicator
    [texts, labels] of 0 and 1 (dense, sparse or a DataFrame, whose columns name the labels), or a list of lists of labels. predict()
    answers in the form that y had.

    Parameters are the options of train_zoo; None leaves one as the model has it. callback(progress) is called after each batch and
    epoch with a named tuple (model, pretraining, epoch, epochs, batch, batches, seconds, seconds_left, loss, finished, chosen, again), and ends the
    training by returning True, which keeps the best epoch so far; reel.show is one.
    """

    _estimator_type = "classifier"  # scikit-learn before 1.6
    # Parameters and options have the same names, but for these two.
    _names = {{"models": "model", "vectors": "word_vectors"}.get(name, name.replace("-", "_")): name
              for name, _, _ in _library.Classifier().options()}

    def __init__(self, model="best", *, callback=None, **options):
        unknown = set(options) - set(self._names)
        if unknown:
            raise TypeError(f"TextClassifier has no parameter {min(unknown)!r}")
        self.model, self.callback = model, callback
        for name in self._names:
            if name != "model":
                setattr(self, name, options.get(name))

    # ---- Parameters, as scikit-learn reads them ----

    def get_params(self, deep=True):
        return {name: getattr(self, name) for name in [*self._names, "callback"]}

    def set_params(self, **params):
        for name, value in params.items():
            if name != "callback" and name not in self._names:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self!r}; there are {', '.join(self._names)}")
            setattr(self, name, value)
        return self

    def __repr__(self):
        given = {name: value for name, value in self.get_params().items() if value is not None and (name, value) != ("model", "best")}
        return f"TextClassifier({', '.join(f'{name}={value!r}' for name, value in given.items())})"

    def __sklearn_tags__(self):
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(estimator_type="classifier", target_tags=TargetTags(required=True, multi_output=True), transformer_tags=None,
                    regressor_tags=None, classifier_tags=ClassifierTags(multi_label=True),
                    input_tags=InputTags(one_d_array=True, two_d_array=False, string=True))

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_reel")

    # ---- Training ----

    def _new(self):
        reel = _library.Classifier()
        for name, option in self._names.items():
            value = getattr(self, name)
            if value is not None:
                reel.set(option, ("off", "on")[value] if isinstance(value, (bool, numpy.bool_)) else value)
        return reel

    def _read_labels(self, y):
        """The form of y, its classes, and for each text the numbers of its labels."""
        if _is_lists(y):
            classes = sorted({label for labels in y for label in labels})
            number = {label: k for k, label in enumerate(classes)}
            return "lists", numpy.array(classes), [sorted({number[label] for label in labels}) for labels in y]
        if _is_matrix(y):
            matrix = _matrix(y)
            classes = numpy.asarray(y.columns) if hasattr(y, "columns") else numpy.arange(matrix.shape[1])
            return "indicator", classes, [numpy.flatnonzero(row) for row in matrix]
        labels = numpy.asarray(y)
        if labels.ndim != 1:
            raise _library.Error(f"labels of the shape {labels.shape}: give one a text, an indicator [texts, labels], or lists")
        if labels.dtype.kind == "f" and not numpy.isfinite(labels).all() or labels.dtype.kind == "O" and any(v != v or v is None for v in labels):
            raise _library.Error("a label is missing (NaN or None); leave its text out, or give lists of labels")
        classes, numbers = numpy.unique(labels, return_inverse=True)
        return "single", classes, numbers[:, None]

    def fit(self, X, y):
        if y is None:
            raise _library.Error("requires y to be passed, but the target y is None")
        texts = _texts(X)
        if not hasattr(y, "shape"):
            y = list(y)
        count = y.shape[0] if hasattr(y, "shape") else len(y)
        if count != len(texts):
            raise _library.Error(f"{len(texts)} texts and labels of {count}; there must be as many")
        form, classes, rows = self._read_labels(y)
        names = [str(label) for label in classes]
        if form == "single" and len(names) == 1:
            raise _library.Error(f"there is one class only, {classes[0]!r}: there is nothing to learn; add texts of another")
        reel = self._new()
        if self.task is None:
            reel.set("task", "single" if form == "single" else "multilabel")
        reel.fit(texts, [[names[k] for k in row] for row in rows], self.callback)
        if form != "indicator":
            classes = self._with_known(classes, set(reel.labels()) - set(names))
        self.classes_, self._form, self._reel = classes, form, reel
        self._find_columns()
        return self

    @staticmethod
    def _with_known(classes, names):
        """With labels that the model of `init` knows beside y's, whose type they get."""
        if not names:
            return classes
        kind = str if classes.dtype.kind == "U" else classes.dtype
        try:
            return numpy.unique(numpy.concatenate([classes, numpy.array(sorted(names)).astype(kind)]))
        except ValueError:
            raise _library.Error(f"y has labels such as {classes[0]!r}, and the model to begin with knows {min(names)!r}: give strings") from None

    def _find_columns(self):
        """Reel has the labels in an order of its own, and those alone that it knows."""
        place = {name: k for k, name in enumerate(self._reel.labels())}
        pairs = [(k, place[str(label)]) for k, label in enumerate(self.classes_) if str(label) in place]
        self._columns = tuple(numpy.array(pairs, int).reshape(-1, 2).T)

    # ---- Answers ----

    def _predict(self, X):
        if not hasattr(self, "_reel"):
            raise _not_fitted()
        texts = _texts(X)
        answers = self._reel.predict(texts)
        out = [numpy.zeros((len(texts), len(self.classes_)), answer.dtype) for answer in answers]
        for ours, answer in zip(out, answers):
            ours[:, self._columns[0]] = answer[:, self._columns[1]]
        return out

    def predict_proba(self, X):
        """Probabilities [texts, classes_]: of exactly one label they add up to 1."""
        return self._predict(X)[0]

    def predict(self, X):
        chosen = self._predict(X)[1]
        if self._form == "single":
            return self.classes_[chosen.argmax(1)]
        if self._form == "lists":
            return [self.classes_[row].tolist() for row in chosen]
        return chosen.astype(int)

    def score(self, X, y):
        """The part of the texts whose labels are predicted exactly, as scikit-learn's classifiers have it."""
        answers = self.predict(X)
        if self._form == "lists":
            right = [set(answer) == set(labels) for answer, labels in zip(answers, y, strict=True)]
        elif self._form == "indicator":
            right = (answers == _matrix(y)).all(1)
        else:
            right = answers == numpy.asarray(y)
        return float(numpy.mean(right))

    def vectors(self, X):
        """What the model makes of each text in front of its output layer, [texts, width]."""
        if not hasattr(self, "_reel"):
            raise _not_fitted()
        return self._reel.vectors(_texts(X))

    # ---- Files and pickles ----

    def save(self, path):
        """Writes the model as a file that reel-predict and load() read."""
        if not hasattr(self, "_reel"):
            raise _not_fitted()
        self._reel.save(os.fspath(path))

    def __getstate__(self):
        state = dict(self.__dict__)
        if "_reel" in state:
            state["_reel"] = self._reel.to_bytes()
        return state

    def __setstate__(self, state):
        self.__dict__.update(state)
        if "_reel" in state:
            self._reel = self._new()
            self._reel.from_bytes(state["_reel"])


TextClassifier.__signature__ = inspect.Signature(
    [inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD, default="best")]
    + [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None) for name in [*TextClassifier._names, "callback"] if name != "model"])


def load(path, **params):
    """A TextClassifier with the model of a file of reel-train's, or of save(): its labels are the names in the file."""
    classifier = TextClassifier(**params)
    reel = classifier._new()
    reel.load(os.fspath(path))
    classifier.classes_ = numpy.array(sorted(reel.labels()))
    classifier._form = "single" if reel.is_single() else "lists"
    classifier._reel = reel
    classifier._find_columns()
    return classifier
