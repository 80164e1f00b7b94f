"""libreel.so through ctypes: what models/training/classifier.h declares, and no more. ctypes lets go of the GIL in every call."""

import collections
import contextlib
import ctypes
import pathlib
import signal
import threading

import numpy

from ._layouts import MODEL_ZOO_MAX_OPTIONS, ModelOption, ModelRunProgress, ReelBytes, ReelStatus

VERSION = "@VERSION@"


class Error(ValueError):
    """What Reel says: what is wrong, where, and the remedy."""


_PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.POINTER(ModelRunProgress))
_STOP = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)


class _Watcher(ctypes.Structure):
    _fields_ = [("context", ctypes.c_void_p), ("progress", _PROGRESS), ("stop", _STOP)]


def _declare():
    library = ctypes.CDLL(str(pathlib.Path(__file__).parent / "libreel.so"))
    pointer, integer, array = ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p)
    for name, result, arguments in [
        ("new", ReelStatus, [ctypes.POINTER(pointer)]), ("free", None, [pointer]),
        ("set", ReelStatus, [pointer, ctypes.c_char_p, ctypes.c_char_p]), ("options", ctypes.c_int, [pointer, pointer]),
        ("watch", None, [pointer, _Watcher]), ("fit", ReelStatus, [pointer, array, integer, array, pointer]),
        ("is_single", ctypes.c_bool, [pointer]), ("num_labels", ctypes.c_int32, [pointer]),
        ("label", ctypes.c_char_p, [pointer, ctypes.c_int32]), ("predict", ReelStatus, [pointer, array, integer, pointer, pointer]),
        ("width", integer, [pointer]), ("vectors", ReelStatus, [pointer, array, integer, pointer]),
        ("save", ReelStatus, [pointer, ctypes.c_char_p]), ("load", ReelStatus, [pointer, ctypes.c_char_p]),
        ("to_bytes", ReelStatus, [pointer, ctypes.POINTER(ReelBytes)]), ("from_bytes", ReelStatus, [pointer, ctypes.c_char_p, ctypes.c_size_t]),
    ]:
        function = getattr(library, "model_classifier_" + name)
        function.restype, function.argtypes = result, arguments
    library.reel_bytes_free.argtypes, library.reel_bytes_free.restype = [ctypes.POINTER(ReelBytes)], None
    return library


_library = _declare()


def _check(status):
    if status.code:
        raise Error(status.message.decode(errors="replace"))


def _strings(values):
    """Strings as C has them; NUL would end one, and is white space as all else that is no letter."""
    encoded = [value.encode(errors="replace").replace(b"\0", b" ") for value in values]
    return (ctypes.c_char_p * len(encoded))(*encoded)


def _address(values):
    return values.ctypes.data_as(ctypes.c_void_p)


Progress = collections.namedtuple("Progress", "model pretraining epoch epochs batch batches seconds seconds_left loss finished chosen again")


class Classifier:
    """A ModelClassifier. Several threads may call it: one waits for the other."""

    def __init__(self):
        self._lock = threading.RLock()
        self._handle = ctypes.c_void_p()
        _check(_library.model_classifier_new(ctypes.byref(self._handle)))

    def __del__(self):
        if _library is not None and getattr(self, "_handle", None):
            _library.model_classifier_free(self._handle)

    def options(self):
        """(name, what --help calls the value or None for a switch, help) of each option."""
        room = (ModelOption * MODEL_ZOO_MAX_OPTIONS)()
        count = _library.model_classifier_options(self._handle, room)
        return [(o.name.decode(), o.argument and o.argument.decode(), o.help.decode()) for o in room[:count]]

    def set(self, name, value):
        with self._lock:
            _check(_library.model_classifier_set(self._handle, name.encode(), str(value).encode()))

    @contextlib.contextmanager
    def _watched(self, callback):
        """What is raised in the callback ends the training and goes on from here, and so does Ctrl-C: an exception of its handler could
        come between any two instructions of a function that C calls, and would be lost there."""
        state = {"stop": False, "error": None}
        before = signal.getsignal(signal.SIGINT) if threading.current_thread() is threading.main_thread() else None

        def interrupt(number, frame):
            try:
                before(number, frame)
            except BaseException as error:
                state["error"], state["stop"] = error, True

        def progress(_, at):
            try:
                p = at.contents
                seen = Progress(p.model.decode(), p.pretraining, p.epoch, p.epochs, p.batch, p.batches, p.seconds, p.seconds_left, p.loss,
                                bool(p.finished), p.chosen, p.again and p.again.decode(errors="replace"))
                state["stop"] |= bool(callback and callback(seen))
            except BaseException as error:
                state["error"], state["stop"] = error, True

        def stop(_):
            return state["stop"]

        functions = _PROGRESS(progress), _STOP(stop)
        _library.model_classifier_watch(self._handle, _Watcher(None, *functions))
        if callable(before):
            signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        except Error:
            if not state["error"]:
                raise
        finally:
            if callable(before):
                signal.signal(signal.SIGINT, before)
            _library.model_classifier_watch(self._handle, _Watcher())
        if state["error"]:
            raise state["error"]

    def fit(self, texts, labels, callback=None):
        """`labels` are lists of names, one for each text."""
        offsets = numpy.zeros(len(labels) + 1, numpy.int64)
        numpy.cumsum([len(names) for names in labels], out=offsets[1:])
        names = _strings([name for names in labels for name in names])
        with self._lock, self._watched(callback):
            _check(_library.model_classifier_fit(self._handle, _strings(texts), len(texts), names, _address(offsets)))

    def is_single(self):
        return _library.model_classifier_is_single(self._handle)

    def labels(self):
        count = _library.model_classifier_num_labels(self._handle)
        return [_library.model_classifier_label(self._handle, k).decode() for k in range(count)]

    def predict(self, texts):
        """Probabilities and answers, [texts, labels]."""
        with self._lock:
            shape = len(texts), _library.model_classifier_num_labels(self._handle)
            probabilities, chosen = numpy.empty(shape, numpy.float32), numpy.empty(shape, numpy.bool_)
            _check(_library.model_classifier_predict(self._handle, _strings(texts), len(texts), _address(probabilities), _address(chosen)))
        return probabilities, chosen

    def vectors(self, texts):
        with self._lock:
            out = numpy.empty((len(texts), _library.model_classifier_width(self._handle)), numpy.float32)
            _check(_library.model_classifier_vectors(self._handle, _strings(texts), len(texts), _address(out)))
        return out

    def save(self, path):
        with self._lock:
            _check(_library.model_classifier_save(self._handle, path.encode()))

    def load(self, path):
        with self._lock:
            _check(_library.model_classifier_load(self._handle, path.encode()))

    def to_bytes(self):
        room = ReelBytes()
        with self._lock:
            try:
                _check(_library.model_classifier_to_bytes(self._handle, ctypes.byref(room)))
                return ctypes.string_at(room.data, room.size)
            finally:
                _library.reel_bytes_free(ctypes.byref(room))

    def from_bytes(self, data):
        with self._lock:
            _check(_library.model_classifier_from_bytes(self._handle, data, len(data)))
