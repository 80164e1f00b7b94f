"""Text classifiers of Reel, as scikit-learn's estimators: docs/python.md."""

from ._classifier import TextClassifier, load, show
from ._library import Error, VERSION as __version__

__all__ = ["Error", "TextClassifier", "load", "show"]
