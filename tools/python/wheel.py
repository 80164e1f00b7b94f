#!/usr/bin/env python3
"""make python: a wheel of the package `reel` with libreel.so inside.

wheel.py LIBRARY VERSION FOLDER writes FOLDER/reel-VERSION-py3-none-PLATFORM.whl. A wheel is a zip with three files about itself, which the
standard library writes; setuptools would have to be told that a package without an extension of its own is not for every platform.
"""

import base64
import hashlib
import pathlib
import re
import sys
import sysconfig
import zipfile

METADATA = """Metadata-Version: 2.1
Name: reel
Version: {version}
Summary: Text classifiers of Reel as scikit-learn's estimators
License: MIT
Requires-Python: >=3.10
Requires-Dist: numpy
"""
ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
STRUCTS = {"ReelStatus": "tensor/status.h", "ReelBytes": "tensor/bytes.h", "ModelOption": "models/training/settings.h",
           "ModelRunProgress": "models/training/run.h"}
TYPES = {"int": "c_int", "bool": "c_bool", "int64_t": "c_int64", "size_t": "c_size_t", "double": "c_double", "char": "c_char",
         "ReelStatusCode": "c_int", "ModelOptionKind": "c_int"}
WHEEL = "Wheel-Version: 1.0\nGenerator: tools/python/wheel.py\nRoot-Is-Purelib: false\nTag: {tag}\n"


def layout(name, header):
    """The members of a struct as ctypes describes them, from its header, so that one that is new there is not missed here."""
    text = re.sub(r"/\*.*?\*/", "", (ROOT / header).read_text(), flags=re.DOTALL)
    body = re.search(rf"typedef struct {name} \{{(.*?)\}} {name};", text, re.DOTALL).group(1)
    fields = []
    for declaration in filter(None, (" ".join(part.split()) for part in body.split(";"))):
        constant, kind, declarators = re.fullmatch(r"(const )?(\w+) (.*)", declaration).groups()
        for pointer, field, count in re.findall(r"(\*?)(\w+)(?:\[(\d+)\])?(?:, |$)", declarators):
            of = ("c_char_p" if constant and kind == "char" else "c_void_p") if pointer else TYPES[kind]
            fields.append(f'("{field}", ctypes.{of}{" * " + count if count else ""})')
    return f"class {name}(ctypes.Structure):\n    _fields_ = [{', '.join(fields)}]\n"


def layouts():
    limit = re.search(r"MODEL_ZOO_MAX_OPTIONS = (\d+)", (ROOT / "models/training/zoo_settings.h").read_text()).group(1)
    structs = "\n\n".join(layout(name, header) for name, header in STRUCTS.items())
    return f'"""Made by wheel.py from the headers."""\n\nimport ctypes\n\nMODEL_ZOO_MAX_OPTIONS = {limit}\n\n\n{structs}'


def main(library, version, folder):
    tag = "py3-none-" + sysconfig.get_platform().replace("-", "_").replace(".", "_")
    info = f"reel-{version}.dist-info"
    files = {f"reel/{source.name}": source.read_bytes() for source in sorted((pathlib.Path(__file__).parent / "reel").glob("*.py"))}
    files["reel/_library.py"] = files["reel/_library.py"].replace(b"@VERSION@", version.encode())
    files["reel/_layouts.py"] = layouts().encode()
    files["reel/libreel.so"] = pathlib.Path(library).read_bytes()
    files[f"{info}/METADATA"] = METADATA.format(version=version).encode()
    files[f"{info}/WHEEL"] = WHEEL.format(tag=tag).encode()
    hashes = [(name, base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode(), len(data)) for name, data in files.items()]
    record = "".join(f"{name},sha256={digest},{size}\n" for name, digest, size in hashes) + f"{info}/RECORD,,\n"
    files[f"{info}/RECORD"] = record.encode()
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"reel-{version}-{tag}.whl"
    with zipfile.ZipFile(path.with_suffix(".tmp"), "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)  # of 1980: the same contents give the same bytes
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (0o755 if name.endswith(".so") else 0o644) << 16
            wheel.writestr(entry, data)
    path.with_suffix(".tmp").replace(path)
    print(path)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: wheel.py LIBRARY VERSION FOLDER")
    main(*sys.argv[1:])
