"""Files of a source that hide a library from the script. Pure.

Python looks into the folder of the script first (https://docs.python.org/3/library/sys_path_init.html), so a file
``horovod.py`` beside it is what ``import horovod`` finds.
"""

from __future__ import annotations

import posixpath
import sys
from collections.abc import Collection, Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

#: What a TensorFlow script, TensorFlow itself and the platform's own part import.
_LIBRARIES = frozenset(
    {
        *("tensorflow", "keras", "tf_keras", "tensorboard", "horovod", "trainhouse", "sitecustomize"),
        *("numpy", "absl", "astunparse", "flatbuffers", "gast", "google", "grpc", "h5py", "ml_dtypes", "mpi4py"),
        *("namex", "opt_einsum", "optree", "packaging", "requests", "rich", "six", "termcolor", "wrapt"),
        *("typing_extensions", "setuptools", "pkg_resources"),
    }
)
#: Of the standard library: names that nothing which trains imports, and that people give to their own folders.
_HARMLESS = frozenset({"test", "this", "antigravity", "idlelib", "turtle", "turtledemo", "lib2to3"})

#: Packages whose module has another name.
_MODULES = {
    "scikit-learn": "sklearn",
    "scikit-image": "skimage",
    "pillow": "PIL",
    "pyyaml": "yaml",
    "opencv-python": "cv2",
    "opencv-python-headless": "cv2",
    "python-dateutil": "dateutil",
    "beautifulsoup4": "bs4",
    "protobuf": "google",
}


def shadow_warnings(paths: Iterable[str], *, entry_script: str, packages: Collection[str] = ()) -> list[str]:
    """A sentence for each file beside ``entry_script`` that hides a library; ``packages`` are the requirements of the
    run. A folder hides one only with an ``__init__.py``."""
    folder = posixpath.dirname(posixpath.normpath(entry_script)) if entry_script else ""
    libraries = _LIBRARIES | _modules(packages)
    found = []
    for path in sorted(paths):
        module = _module(path, folder)
        if module in libraries:
            found.append(f"{path} hides the library {module} from the script. Rename it unless that is meant.")
        elif module in sys.stdlib_module_names and module not in _HARMLESS:
            found.append(f"{path} hides Python's own module {module}. Rename it unless that is meant.")
    return found


def _module(path: str, folder: str) -> str:
    """The name under which a file of ``folder`` is imported; empty when it is none, or lies elsewhere."""
    inner = path.removeprefix(f"{folder}/") if folder else path
    if folder and inner == path:
        return ""
    name = inner.removesuffix("/__init__.py") if inner.endswith("/__init__.py") else inner.removesuffix(".py")
    return "" if name == inner or "/" in name else name


def _modules(packages: Iterable[str]) -> set[str]:
    names = set()
    for line in packages:
        try:
            name = canonicalize_name(Requirement(line).name)
        except (InvalidRequirement, RecursionError):
            continue
        names.add(_MODULES.get(name, name.replace("-", "_")))
    return names
