#!/usr/bin/env python3
"""A linear model's macro F1 on the corpus, to compare the zoo with: TF-IDF of words and one balanced LinearSVC for
each label, as the homework splits and cleans the texts. The threshold is tuned on a random fifth of the training
texts, which the model has not seen. Needs scikit-learn; nothing of Reel needs this.

usage: tools/linear_reference.py [FILE]"""
import re
import sys

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS, TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.model_selection import train_test_split
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import MultiLabelBinarizer
from sklearn.svm import LinearSVC

stop_words = ENGLISH_STOP_WORDS - {"no", "not"}
with open(sys.argv[1] if len(sys.argv) > 1 else "build/debian.tsv", encoding="utf-8") as file:
    rows = [line.rstrip("\n").split("\t") for line in file][1:]
words = (re.sub("[^a-z]", " ", text.lower()).split() for text, _ in rows)
texts = np.array([" ".join(w for w in text if w not in stop_words) for text in words], dtype=object)
labels = MultiLabelBinarizer().fit_transform([names.split(", ") for _, names in rows])
train, test = train_test_split(np.arange(len(texts)), test_size=0.2, random_state=0)
order = np.random.RandomState(1).permutation(len(train))
valid, fit = train[order[: len(train) // 5]], train[order[len(train) // 5 :]]


def scores(on, of):
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
    model = OneVsRestClassifier(LinearSVC(C=0.5, class_weight="balanced"))
    model.fit(vectorizer.fit_transform(texts[on]), labels[on])
    return model.decision_function(vectorizer.transform(texts[of]))


def macro_f1(of, predicted):
    return f1_score(labels[of], predicted, average="macro", zero_division=0)


found = scores(fit, valid)
shares = np.concatenate([np.linspace(0.05, 0.9, 60), np.linspace(0.9, 0.999, 60)])
thresholds = np.unique(np.quantile(found, shares))
best = max(thresholds, key=lambda threshold: macro_f1(valid, found > threshold))
print(f"validation part: {macro_f1(valid, found > 0):.4f} at 0, {macro_f1(valid, found > best):.4f} at {best:.3f}")
found = scores(train, test)
print(f"test part: {macro_f1(test, found > 0):.4f} at 0, {macro_f1(test, found > best):.4f} at {best:.3f}")
