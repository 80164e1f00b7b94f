#!/usr/bin/env python3
"""The Python package in scikit-learn's hands: `make test-python`.

Runs the wheel as it is installed. scikit-learn's checks of estimators draw numbers for X: those that need no X are run as they are, the
others stand here under their names, on strings. Without NumPy or scikit-learn all is skipped, without pandas what needs it. Skips are
counted; with SKIPS=fail they are a failure. The recipes of docs/python.md are run as well.
"""

import copy
import json
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent
TOOLS = pathlib.Path(os.environ.get("REEL_TOOLS", ROOT / "tools"))
WHEEL = pathlib.Path(os.environ["REEL_WHEEL"])
skipped = []


def skip(why):
    print(f"skipped: {why}")
    skipped.append(why)


def end():
    print(f"test-python: {len(tests)} tests, {len(skipped)} skipped")
    sys.exit(1 if skipped and os.environ.get("REEL_SKIPS") == "fail" else 0)


tests = []
try:
    import numpy
    import sklearn
except ImportError as error:
    skip(error)
    end()

try:
    import pandas
except ImportError as error:
    pandas = None

# ---- The wheel, as pip installs it ----

folder = pathlib.Path(tempfile.mkdtemp(prefix="reel-python-"))
subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder / "venv"], check=True)
pip = [folder / "venv/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
subprocess.run([*pip, "--no-index", "--no-deps", "--force-reinstall", WHEEL], check=True)
sys.path.insert(0, str(next((folder / "venv/lib").glob("python*/site-packages"))))

import reel
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.exceptions import NotFittedError
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.metrics import f1_score
from sklearn.model_selection import GridSearchCV, HalvingRandomSearchCV, cross_val_predict, cross_val_score, learning_curve
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks

# ---- Texts ----


def rows():
    for line in (ROOT / "tests/fixtures/debian_120.tsv").read_text().splitlines()[1:]:
        text, labels = line.split("\t")
        yield text, [label for label in labels.split(", ") if label]


TEXTS, LABELS = map(list, zip(*rows()))
# One label a text: what it is about, which its words say.
TOPICS = {"games": "play chess cards board puzzle levels", "net": "server socket packet router protocol browser",
          "math": "matrix theorem algebra solver number proof"}


def topics(count, seed=0):
    random = numpy.random.default_rng(seed)
    names = sorted(TOPICS)
    y = [names[k] for k in random.integers(0, 3, count)]
    return [" ".join(random.choice(TOPICS[name].split(), 5)) for name in y], y


X, Y = topics(90)
MORE, TRUTH = topics(40, 1)


def small(**options):
    return reel.TextClassifier(**{"model": "lstm", "epochs": 12, "embed": 16, "hidden": 16, "batch": 8, "lr": 0.02, "threads": 1, **options})


def indicator(y=Y):
    return numpy.array([[label == name for name in sorted(TOPICS)] for label in y], int)


def test(function):
    tests.append(function)
    return function


def raises(kind, part, function, *arguments, **named):
    try:
        function(*arguments, **named)
    except kind as error:
        assert part in str(error), error
        return
    raise AssertionError(f"no {kind.__name__}: {part}")


# ---- scikit-learn's checks, by their names ----

for name in """check_estimator_cloneable check_estimator_repr check_parameters_default_constructible check_get_params_invariance
               check_set_params check_no_attributes_set_in_init check_valid_tag_types check_estimator_tags_renamed check_mixin_order
               check_requires_y_none""".split():
    check = getattr(estimator_checks, name, None)
    if check is None:
        skip(f"scikit-learn {sklearn.__version__} has no {name}")
        continue

    def run(check=check):
        check("TextClassifier", reel.TextClassifier(model="lstm", epochs=1))

    run.__name__ = name
    test(run)


@test
def check_estimators_unfitted():
    for method in ("predict", "predict_proba", "vectors"):
        raises(NotFittedError, "not fitted", getattr(small(), method), X)
    raises(NotFittedError, "not fitted", small().save, folder / "none.npz")


@test
def check_fit_idempotent():
    classifier = small().fit(X, Y)
    first = classifier.predict_proba(MORE)
    classifier.fit(X, Y)
    assert (classifier.predict_proba(MORE) == first).all()
    classifier.fit(TEXTS, LABELS)  # of another form
    assert len(classifier.classes_) == 47
    assert (classifier.fit(X, Y).predict_proba(MORE) == first).all()


@test
def check_estimators_pickle():
    for y in (Y, indicator(), [[label] for label in Y]):
        classifier = small().fit(X, y)
        for other in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
            assert (other.predict_proba(MORE) == classifier.predict_proba(MORE)).all()
            assert str(other.predict(MORE)) == str(classifier.predict(MORE))
            assert other.get_params() == classifier.get_params()
    assert not hasattr(pickle.loads(pickle.dumps(small())), "classes_")


@test
def check_estimators_overwrite_params():
    classifier = small()
    before = copy.deepcopy(classifier.get_params())
    assert classifier.fit(X, Y) is classifier
    assert classifier.get_params() == before


@test
def check_dict_unchanged():
    classifier = small().fit(X, Y)
    before = dict(classifier.__dict__)
    for method in (classifier.predict, classifier.predict_proba, classifier.vectors):
        method(MORE)
    classifier.score(MORE, TRUTH)
    assert classifier.__dict__ == before


@test
def check_readonly_memmap_input():
    texts, y = numpy.array(X, object), indicator()
    texts.setflags(write=False)
    y.setflags(write=False)
    before = texts.copy(), y.copy()
    small().fit(texts, y).predict(texts)
    assert (texts == before[0]).all() and (y == before[1]).all()


@test
def check_classifiers_one_label():
    raises(ValueError, "class", small().fit, X, ["games"] * len(X))


@test
def check_classifiers_classes():
    number = {name: k for k, name in enumerate(sorted(TOPICS))}
    answers = small().fit(X, Y).predict(MORE)
    for kind in (lambda k: k, lambda k: [10, 9, -1][k], lambda k: [0.5, 2.0, 1.0][k], lambda k: f"{k} \u00e4, b"):
        y = [kind(number[label]) for label in Y]
        classifier = small().fit(X, y)
        assert list(classifier.classes_) == sorted(set(y)), classifier.classes_
        said = classifier.predict(MORE)
        assert said.dtype == numpy.asarray(y).dtype
        assert set(said) <= set(y)
        proba = classifier.predict_proba(MORE)
        assert (classifier.classes_[proba.argmax(1)] == said).all()
    assert answers.tolist() == small().fit(X, numpy.array(Y, object)).predict(MORE).tolist()
    flags = small().fit(X, numpy.array(Y) == "net")
    assert flags.predict(MORE).dtype == bool and flags.score(MORE, numpy.array(TRUTH) == "net") > 0.9


@test
def check_classifiers_train():
    classifier = small().fit(X, Y)
    assert classifier.score(MORE, TRUTH) > 0.9, classifier.score(MORE, TRUTH)
    proba = classifier.predict_proba(MORE)
    assert proba.shape == (40, 3) and numpy.allclose(proba.sum(1), 1, atol=1e-6)
    raises(ValueError, "as many", small().fit, X, Y[:-1])
    raises(ValueError, "no texts", small().fit, [], [])
    assert classifier.predict([]).shape == (0,)


@test
def check_methods_subset_invariance():
    classifier = small().fit(X, Y)
    whole = classifier.predict_proba(MORE)
    assert (numpy.vstack([classifier.predict_proba([text]) for text in MORE]) == whole).all()
    assert (classifier.predict_proba(MORE[::-1])[::-1] == whole).all()  # check_methods_sample_order_invariance
    assert (numpy.vstack([classifier.vectors([text]) for text in MORE]) == classifier.vectors(MORE)).all()


@test
def check_lists_arrays_and_series():
    kinds = [list, tuple, numpy.array, lambda values: numpy.array(values, object)]
    if pandas is None:
        skip("pandas is not there")
    else:
        kinds += [pandas.Series, lambda values: pandas.Series(values, index=range(7, 7 + len(values))),
                  lambda values: pandas.Series(values, dtype="string")]
    want = small().fit(X, Y).predict_proba(MORE)
    for kind in kinds:
        assert (small().fit(kind(X), kind(Y)).predict_proba(kind(MORE)) == want).all(), kind
    if pandas is not None:
        frame = pandas.DataFrame(indicator(), columns=sorted(TOPICS))
        classifier = small().fit(X, frame)
        assert classifier.classes_.tolist() == sorted(TOPICS)
        assert (classifier.predict_proba(MORE) == small().fit(X, indicator()).predict_proba(MORE)).all()
    try:
        from scipy.sparse import csr_matrix

        assert (small().fit(X, csr_matrix(indicator())).predict(MORE) == small().fit(X, indicator()).predict(MORE)).all()
    except ImportError as error:
        skip(error)


@test
def texts_that_are_none():
    for texts in ("one text", [b"bytes"], [None], [1.5], [["a"]], numpy.array([["a"]])):
        raises(ValueError, "text", small().fit, texts, ["a"])
    raises(ValueError, "missing", small().fit, X, [None, *Y[1:]])
    raises(ValueError, "missing", small().fit, X, [float("nan"), *range(1, len(X))])
    raises(ValueError, "0 and 1 alone", small().fit, X, indicator() * 2)
    raises(ValueError, "a tab", small().fit, X, ["a\tb", *Y[1:]])
    small().fit([text + "\0 nul and \ud800 half a character" for text in X], Y)


# ---- Any number of labels ----


@test
def an_indicator_and_lists_are_the_same():
    classes = sorted({label for labels in LABELS for label in labels})
    matrix = numpy.array([[label in labels for label in classes] for labels in LABELS], int)
    of_matrix, of_lists = small(epochs=40).fit(TEXTS, matrix), small(epochs=40).fit(TEXTS, LABELS)
    assert of_lists.classes_.tolist() == classes and of_matrix.classes_.tolist() == list(range(len(classes)))
    probabilities = dict(zip(map(str, of_matrix.classes_), of_matrix.predict_proba(TEXTS).T))
    assert probabilities.keys() == set(map(str, range(len(classes))))
    answers = of_lists.predict(TEXTS)
    flags = numpy.array([[label in labels for label in classes] for labels in answers])
    assert flags.any() and (flags == (of_lists.predict_proba(TEXTS) > 0.5)).all()
    assert set(of_matrix.predict(TEXTS).ravel()) <= {0, 1} and of_matrix.predict(TEXTS).shape == matrix.shape
    assert 0 <= of_lists.score(TEXTS, LABELS) <= 1 and 0 <= of_matrix.score(TEXTS, matrix) <= 1


@test
def a_label_that_no_text_bears_is_never_predicted():
    matrix = numpy.hstack([indicator(), numpy.zeros((len(X), 1), int)])
    classifier = small().fit(X, matrix)
    assert classifier.predict_proba(MORE).shape == (40, 4)
    assert (classifier.predict_proba(MORE)[:, 3] == 0).all() and (classifier.predict(MORE)[:, 3] == 0).all()
    assert f1_score(indicator(TRUTH), classifier.predict(MORE)[:, :3], average="macro") > 0.8


@test
def ten_labels_and_more_keep_their_columns():  # whose names sort as 0, 1, 10, 11, 2
    random = numpy.random.default_rng(0)
    y = numpy.arange(240) % 12
    texts = [f"word{chr(97 + k)} common{chr(97 + random.integers(5))}" for k in y]
    classifier = small(epochs=30, lr=0.05, embed=32, hidden=32).fit(texts, y)
    assert classifier.classes_.tolist() == list(range(12)) and classifier.score(texts, y) > 0.95
    classifier = small(epochs=60, lr=0.05, embed=32, hidden=32).fit(texts, numpy.eye(12, dtype=int)[y])
    assert (classifier.predict_proba(texts).argmax(1) == y).mean() > 0.95


# ---- Parameters ----


@test
def parameters_are_train_zoos_options():
    params = reel.TextClassifier().get_params()
    assert params["model"] == "best" and {"lr", "keep_digits", "max_len", "valid", "word_vectors", "callback"} <= params.keys()
    assert not {"data", "out", "resume", "seeds", "labels", "test"} & params.keys()
    raises(TypeError, "speed", reel.TextClassifier, speed=1)
    raises(ValueError, "Invalid parameter 'speed'", small().set_params, speed=1)
    raises(reel.Error, "--lr fast: not a number", small(lr="fast").fit, X, Y)
    raises(ValueError, "there is no model", small(model="none").fit, X, Y)
    assert small(keep_digits=True, refit=False, lr=numpy.float32(0.02), epochs=numpy.int64(1)).fit(X, Y)
    import inspect
    assert list(inspect.signature(reel.TextClassifier).parameters) == ["model", *[name for name in params if name not in ("model",)]]


@test
def best_is_the_default():
    classifier = reel.TextClassifier(embed=16, epochs=8).fit(X, Y)
    assert classifier.score(MORE, TRUTH) > 0.9


# ---- In scikit-learn's hands ----


@test
def in_a_pipeline():
    lower = FunctionTransformer(lambda texts: [text.lower() for text in texts])
    pipeline = Pipeline([("lower", lower), ("reel", small())]).fit([text.upper() for text in X], Y)
    assert pipeline.score(MORE, TRUTH) > 0.9
    assert clone(pipeline).set_params(reel__epochs=1).get_params()["reel__epochs"] == 1


@test
def in_cross_validation_searches_and_calibration():
    assert cross_val_score(small(), X, Y, cv=3).min() > 0.7
    assert cross_val_score(small(), X, indicator(), cv=3, scoring="f1_macro").shape == (3,)
    search = GridSearchCV(small(), {"epochs": [1, 12], "hidden": [16]}, cv=2).fit(X, Y)
    assert search.best_params_["epochs"] == 12 and search.score(MORE, TRUTH) > 0.9
    search = GridSearchCV(small(), {"epochs": [1, 2]}, cv=2, n_jobs=2).fit(X, Y)  # in other processes
    assert search.best_estimator_.predict(MORE).shape == (40,)
    rates = {"lr": [0.001, 0.01, 0.02, 0.05]}
    search = HalvingRandomSearchCV(small(), rates, resource="epochs", min_resources=2, max_resources=8, n_candidates=4, factor=2, cv=2,
                                   random_state=0).fit(X, Y)
    assert search.best_params_["epochs"] == 8
    sizes, train, valid = learning_curve(small(), X, Y, train_sizes=[0.5, 1.0], cv=3)
    assert valid.shape == (2, 3) and sizes[-1] == 60
    for method in ("sigmoid", "isotonic"):
        calibrated = CalibratedClassifierCV(small(), method=method, cv=2).fit(X, Y)
        assert numpy.allclose(calibrated.predict_proba(MORE).sum(1), 1)


@test
def labels_that_a_fold_lacks():
    y = ["rare", *Y[1:]]  # in one fold training does not know it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cross_val_score(small(epochs=1), X, y, cv=3, error_score="raise").shape == (3,)
        assert cross_val_predict(small(epochs=1), X, y, cv=3, method="predict_proba").shape == (90, 4)


# ---- Files ----


@test
def the_programs_read_what_is_saved_and_the_other_way_round():
    classifier = small().fit(TEXTS, LABELS)
    path = folder / "model.npz"
    classifier.save(path)
    command = [TOOLS / "predict", path, "--json", "--top", "100", "--quiet"]
    out = subprocess.run(command, input="\n".join(TEXTS) + "\n", capture_output=True, text=True, check=True).stdout
    said = [{entry["label"]: entry["probability"] for entry in json.loads(line)["labels"]} for line in out.splitlines()]
    want = numpy.array([[row[label] for label in classifier.classes_] for row in said])
    assert numpy.abs(classifier.predict_proba(TEXTS) - want).max() < 1e-6
    loaded = reel.load(str(path), threads=2)
    assert loaded.predict(TEXTS) == classifier.predict(TEXTS) and loaded.classes_.tolist() == classifier.classes_.tolist()
    data = folder / "one.tsv"
    data.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in zip(X, Y)))
    command = [TOOLS / "train_zoo", "--data", data, "--models", "wide", "--epochs", "2", "--quiet", "--out", folder / "run"]
    subprocess.run(command, check=True, capture_output=True)
    single = reel.load(folder / "run/wide.last.npz")
    assert single.classes_.tolist() == sorted(TOPICS) and set(single.predict(MORE)) <= set(TOPICS)
    raises(reel.Error, "none.npz", reel.load, folder / "none.npz")
    raises(reel.Error, "one.tsv", reel.load, data)


@test
def a_model_goes_on_with_other_labels():
    path = folder / "first.npz"
    first = small().fit(X, Y)
    first.save(path)
    still = small(init=path, embed=None, hidden=None, lr=1e-12, optimizer="sgd", epochs=1)
    # Words and labels that are new; one of them before, one behind the others.
    texts, y = ["cake pie bread butter"] * 12 + ["wood nail saw hammer"] * 12 + MORE, ["baking"] * 12 + ["tools"] * 12 + TRUTH
    told = still.fit(texts, y)
    assert told.classes_.tolist() == ["baking", *sorted(TOPICS), "tools"]
    before, after = first.predict_proba(X), told.predict_proba(X)[:, 1:4]
    assert (before.argmax(1) == after.argmax(1)).all()
    second = small(init=path, embed=None, hidden=None).fit(texts, y)
    assert second.score(texts, y) > 0.9 and second.score(X, Y) > 0.9 and set(second.predict(texts[:24])) == {"baking", "tools"}
    assert pickle.loads(pickle.dumps(second)).predict(texts).tolist() == second.predict(texts).tolist()
    second.save(folder / "second.npz")
    loaded = reel.load(folder / "second.npz")
    assert loaded.classes_.tolist() == second.classes_.tolist()
    assert (loaded.predict_proba(texts) == second.predict_proba(texts)).all()
    # Labels that these texts do not have stay.
    assert small(init=path, embed=None, hidden=None, epochs=1).fit(texts[:24], y[:24]).classes_.tolist() == told.classes_.tolist()
    lists = small(init=path, embed=None, hidden=None, epochs=1).fit(texts, [[label] for label in y])
    assert lists.classes_.tolist() == told.classes_.tolist() and isinstance(lists.predict(texts[:1])[0], list)
    raises(reel.Error, "give strings", small(init=path, embed=None, hidden=None).fit, texts, numpy.arange(len(texts)) % 2)
    raises(reel.Error, "--embed 8: the model in", small(init=path, embed=8, hidden=None).fit, texts, y)


@test
def vectors_tell_topics_apart():
    vectors = small().fit(X, Y).vectors(MORE)
    assert vectors.shape == (40, 16) and vectors.dtype == numpy.float32
    from sklearn.neighbors import KNeighborsClassifier

    assert KNeighborsClassifier(3).fit(vectors[:20], TRUTH[:20]).score(vectors[20:], TRUTH[20:]) > 0.8


# ---- Looking on ----


@test
def a_callback_sees_all_and_may_stop():
    seen = []
    small(callback=seen.append, epochs=3).fit(X, Y)  # append() gives None
    assert [p.epoch for p in seen if p.finished] == [1, 2, 3] and len(seen) == 3 * (12 + 1)
    assert seen[-1].model == "lstm" and seen[0].batches == 12 and seen[0].loss > 0
    seen.clear()

    def stop(progress):
        seen.append(progress)
        return progress.finished and progress.epoch == 2

    stopped = small(callback=stop).fit(X, Y)
    assert len(seen) <= 2 * (12 + 1) + 1 and stopped.predict(MORE).shape == (40,)
    raises(reel.Error, "stopped before the first epoch", small(callback=lambda progress: True).fit, X, Y)
    raises(ZeroDivisionError, "", small(callback=lambda progress: 1 / 0).fit, X, Y)
    assert not hasattr(small(callback=reel.show), "classes_")


@test
def control_c_ends_the_training():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may start what runs in the background without
    classifier = small(epochs=100000)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    before = time.monotonic()
    timer.start()
    raises(KeyboardInterrupt, "", classifier.fit, X, Y)
    assert time.monotonic() - before < 30 and not hasattr(classifier, "classes_")


@test
def other_threads_run_while_it_computes():
    ticks, done = [], threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    small(epochs=30, hidden=128).fit(X, Y)
    done.set()
    thread.join()
    assert len(ticks) > 20, len(ticks)
    # Several threads and one classifier: one waits for the other.
    classifier = small(epochs=2).fit(X, Y)
    want, found = classifier.predict_proba(MORE), [None] * 4
    threads = [threading.Thread(target=lambda i=i: found.__setitem__(i, classifier.predict_proba(MORE))) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((answer == want).all() for answer in found)


@test
def it_needs_no_scikit_learn():
    code = f"import sys; sys.path.insert(0, {sys.path[0]!r}); import reel; c = reel.TextClassifier(model='rnn', epochs=1, min_df=1)\n" \
           "try: c.predict(['a'])\nexcept reel.Error: pass\n" \
           "c.fit(['good day', 'bad night', 'good morning', 'bad evening'], [1, 0, 1, 0]).predict(['good'])\n" \
           "assert not any(name.split('.')[0] in ('sklearn', 'scipy', 'pandas') for name in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


# ---- The page of recipes ----


@test
def the_recipes_of_the_page():
    if pandas is None:
        skip("the recipes: pandas is not there")
        return
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "docs/python.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 6
    code = "".join(blocks)
    place = folder / "recipes"
    place.mkdir()
    (place / "packages.tsv").write_bytes((ROOT / "tests/fixtures/debian_120.tsv").read_bytes())
    environment = {**os.environ, "PYTHONPATH": sys.path[0], "PATH": f"{place}:{os.environ['PATH']}"}
    for name in ("train_zoo", "predict"):
        (place / f"reel-{name.replace('train_zoo', 'train')}").symlink_to(TOOLS / name)
    out = subprocess.run([sys.executable, "-W", "ignore", "-c", code], cwd=place, env=environment, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr[-2000:]


failed = 0
for function in tests:
    started = time.monotonic()
    try:
        function()
        print(f"{function.__name__}: {time.monotonic() - started:.1f} s", flush=True)
    except Exception:
        import traceback

        failed += 1
        print(f"{function.__name__}: FAILED\n{traceback.format_exc()}", flush=True)
subprocess.run(["rm", "-r", folder])
if failed:
    print(f"test-python: {failed} of {len(tests)} tests failed")
    sys.exit(1)
end()
