#!/usr/bin/env python3
"""What linear models reach on a corpus, to compare the zoo with: TF-IDF and a balanced LinearSVC (or logistic regression) for
each label, or fastText, as the homework splits and cleans the texts. What is to be chosen (a threshold where a text may have
several labels, and the best of --settings) is chosen on a random fifth of the training texts, which the model has not seen.
Where every text has one label, the most probable is the answer. Needs scikit-learn; nothing of Reel needs this.

usage: tools/linear_reference.py [--model svm|logistic|fasttext] [--features words|characters] [--written]
                                 [--settings 0.25,0.5,1] [FILE]"""
import argparse
import csv
import os
import re
import tempfile

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
parser.add_argument("--model", choices=["svm", "logistic", "fasttext"], default="svm")
parser.add_argument("--features", choices=["words", "characters"], default="words", help="characters: runs of 1 to 4 of them")
parser.add_argument("--written", action="store_true", help="texts as they are written, in lower case (words of all letters)")
parser.add_argument("--settings", help="values of C (of fastText: epochs) to choose from (0.5; 25)")
parser.add_argument("file", nargs="?", default="build/debian.tsv")
args = parser.parse_args()
settings = [float(s) for s in (args.settings or ("25" if args.model == "fasttext" else "0.5")).split(",")]

stop_words = ENGLISH_STOP_WORDS - {"no", "not"}
csv.field_size_limit(1 << 30)
with open(args.file, encoding="utf-8", newline="") as file:
    rows = list(csv.reader(file, delimiter="\t"))[1:]
if args.written:
    texts = [" ".join(re.findall(r"\w+", text.lower())) for text, _ in rows]
else:
    words = (re.sub("[^a-z]", " ", text.lower()).split() for text, _ in rows)
    texts = [" ".join(w for w in text if w not in stop_words) for text in words]
texts = np.array(texts, dtype=object)
names = [labels.split(", ") for _, labels in rows]
single = all(len(labels) == 1 for labels in names)
labels = MultiLabelBinarizer().fit_transform(names)
train, test = train_test_split(np.arange(len(texts)), test_size=0.2, random_state=0)
order = np.random.RandomState(1).permutation(len(train))
valid, fit = train[order[: len(train) // 5]], train[order[len(train) // 5 :]]


def linear_scores(on, of, c):
    if args.features == "words":
        vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
    else:
        vectorizer = TfidfVectorizer(sublinear_tf=True, analyzer="char", ngram_range=(1, 4), min_df=2)
    balanced = None if single else "balanced"
    if args.model == "svm":
        model = LinearSVC(C=c, class_weight=balanced)
    else:
        model = LogisticRegression(C=c, class_weight=balanced, solver="liblinear")
    model = OneVsRestClassifier(model)
    model.fit(vectorizer.fit_transform(texts[on]), labels[on])
    return model.decision_function(vectorizer.transform(texts[of]))


def fasttext_scores(on, of, epochs):
    import fasttext

    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8", delete=False) as file:
        for i in on:
            file.write(" ".join(f"__label__{k}" for k in np.flatnonzero(labels[i])) + f" {texts[i]}\n")
    longest = 4 if args.features == "characters" else 0
    model = fasttext.train_supervised(file.name, epoch=int(epochs), lr=0.5, minn=min(longest, 2), maxn=longest, thread=1,
                                      loss="softmax" if single else "ova", verbose=0)
    os.unlink(file.name)
    found = np.full((len(of), labels.shape[1]), -100.0)
    for row, i in zip(found, of):
        for label, score in model.f.predict(texts[i] + "\n", -1, 0.0, "strict") if texts[i] else []:
            (label, score) = (label, score) if isinstance(label, str) else (score, label)
            p = min(max(float(score), 1e-9), 1 - 1e-9)
            row[int(label[len("__label__") :])] = np.log(p / (1 - p))
    return found


def scores(on, of, setting):
    return (fasttext_scores if args.model == "fasttext" else linear_scores)(on, of, setting)


def macro_f1(of, predicted):
    return f1_score(labels[of], predicted, average="macro", zero_division=0)


def micro_f1(of, predicted):
    return f1_score(labels[of], predicted, average="micro", zero_division=0)


def best_threshold(found):
    shares = np.concatenate([np.linspace(0.05, 0.9, 60), np.linspace(0.9, 0.999, 60)])
    thresholds = np.unique(np.quantile(found, shares))
    return max(thresholds, key=lambda threshold: macro_f1(valid, found > threshold))


def most_probable(found):
    return found == found.max(axis=1, keepdims=True)


tried = [(setting, scores(fit, valid, setting)) for setting in settings]
if single:
    setting, found = max(tried, key=lambda one: macro_f1(valid, most_probable(one[1])))
    chosen = most_probable(scores(train, test, setting))
    print(f"setting {setting:g}, validation part: macro F1 {macro_f1(valid, most_probable(found)):.4f}")
    print(f"test part: macro F1 {macro_f1(test, chosen):.4f}, accuracy {micro_f1(test, chosen):.4f}")
else:
    tried = [(setting, found, best_threshold(found)) for setting, found in tried]
    setting, found, best = max(tried, key=lambda one: macro_f1(valid, one[1] > one[2]))
    print(f"validation part: {macro_f1(valid, found > 0):.4f} at 0, {macro_f1(valid, found > best):.4f} at {best:.3f}")
    found = scores(train, test, setting)
    print(f"test part: {macro_f1(test, found > 0):.4f} at 0, {macro_f1(test, found > best):.4f} at {best:.3f}; "
          f"micro F1 there {micro_f1(test, found > best):.4f}; setting {setting:g}")
