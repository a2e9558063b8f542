"""What to do about a failure, read from the last lines of its log. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

#: Modules whose package has another name on the index.
_PACKAGES: dict[str, str] = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python-headless",
    "dateutil": "python-dateutil",
    "dotenv": "python-dotenv",
    "git": "GitPython",
    "google.protobuf": "protobuf",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "tensorflow_datasets": "tensorflow-datasets",
    "tensorflow_hub": "tensorflow-hub",
    "tensorflow_probability": "tensorflow-probability",
    "tf_keras": "tf-keras",
    "yaml": "PyYAML",
}

_MOST_HINTS = 3

_Rule = tuple[re.Pattern[str], Callable[[re.Match[str], Sequence[str]], str]]


def hints(lines: Sequence[str], *, files: Sequence[str] = ()) -> list[str]:
    """Up to three sentences on what to do, the likeliest first. ``lines`` are the log's last, without colours;
    ``files`` are the paths of the snapshot."""
    found: list[str] = []
    text = "\n".join(lines)
    for pattern, sentence in _RULES:
        matches = list(pattern.finditer(text))
        if matches:
            found.append(sentence(matches[-1], files))
    return found[:_MOST_HINTS]


def _missing_module(match: re.Match[str], files: Sequence[str]) -> str:
    module = match["module"]
    top = module.split(".")[0]
    local = next((path for path in files if path in _local_paths(module) or path.endswith(_local_tails(module))), None)
    if local:
        return (
            f"The module {module} is the file {local} of the source folder, but its folder is not on Python's path. "
            "Python looks beside the entry script: move the file there, or import it by its folder's name."
        )
    package = _PACKAGES.get(module) or _PACKAGES.get(top) or top
    return f"Add {package} to the pip packages: the module {module} is not in the environment."


def _local_paths(module: str) -> tuple[str, ...]:
    path = module.replace(".", "/")
    return (f"{path}.py", f"{path}/__init__.py")


def _local_tails(module: str) -> tuple[str, ...]:
    return tuple(f"/{path}" for path in _local_paths(module))


def _missing_name(match: re.Match[str], files: Sequence[str]) -> str:
    return (
        f"{match['module']} is installed but has no {match['name']}: probably another version than the script was "
        "written for. Pin the version among the pip packages."
    )


def _missing_file(match: re.Match[str], files: Sequence[str]) -> str:
    path = match["path"]
    name = path.rsplit("/", 1)[-1]
    near = next((known for known in files if known == name or known.endswith(f"/{name}")), None)
    if path.startswith("/"):
        return f"{path} does not exist on the machine that ran the script. Bring the file in the source folder instead."
    if near and near != path:
        return (
            f"The script opened {path}, but the source folder has {near}. Paths are relative to the source folder, "
            "where the script is started."
        )
    return (
        f"{path} was not there. Paths are relative to the source folder; look whether the file was uploaded or left "
        "out by an ignore file, and make a folder before writing into it."
    )


def _unknown_arguments(match: re.Match[str], files: Sequence[str]) -> str:
    return f"The script does not know {match['words'].strip()}: compare the parameters with its argparse definition."


def _missing_arguments(match: re.Match[str], files: Sequence[str]) -> str:
    return f"The script asks for {match['words'].strip()}: add it to the parameters."


def _missing_variable(match: re.Match[str], files: Sequence[str]) -> str:
    return f"If {match['name']} is meant to be an environment variable, add it to the run's variables."


def _says(sentence: str) -> Callable[[re.Match[str], Sequence[str]], str]:
    return lambda match, files: sentence


_RULES: tuple[_Rule, ...] = (
    (re.compile(r"ModuleNotFoundError: No module named '(?P<module>[\w.]+)'"), _missing_module),
    (re.compile(r"ImportError: cannot import name '(?P<name>\w+)' from '(?P<module>[\w.]+)'"), _missing_name),
    (re.compile(r"error: unrecognized arguments: (?P<words>.{1,200})"), _unknown_arguments),
    (re.compile(r"error: the following arguments are required: (?P<words>.{1,200})"), _missing_arguments),
    (
        re.compile(r"ResourceExhaustedError|OOM when allocating tensor|CUDA_ERROR_OUT_OF_MEMORY|out of memory on GPU"),
        _says("The GPU's memory ran out: lower the batch size or the model's size."),
    ),
    (
        re.compile(r"^(?:\w+\.)*MemoryError\b|std::bad_alloc|Cannot allocate memory", re.MULTILINE),
        _says("Memory ran out: lower the batch size, or load the data in pieces, for example with tf.data."),
    ),
    (
        re.compile(r"No space left on device|Errno 28"),
        _says("The disk is full. Delete old runs' files, or write less."),
    ),
    (
        re.compile(
            r"(?:\bFileNotFoundError|\bNotFoundError|No such file or directory).*?['\"](?P<path>[^'\"\n]{1,300})['\"]"
        ),
        _missing_file,
    ),
    (
        re.compile(r"PermissionError: .*?['\"](?P<path>[^'\"\n]{1,300})['\"]"),
        lambda match, files: (
            f"The script may not touch {match['path']}. Write below ./outputs; what lies there is kept with the run."
        ),
    ),
    (
        re.compile(
            r"Temporary failure in name resolution|Name or service not known|Network is unreachable|"
            r"urlopen error|Max retries exceeded with url"
        ),
        _says(
            "The script reached for the network in vain. Bring the data in the source folder, or check the machine's "
            "way to the outside."
        ),
    ),
    (
        re.compile(r"KeyError: '(?P<name>[A-Z][A-Z0-9_]{2,})'"),
        _missing_variable,
    ),
    (
        re.compile(r"^(?:SyntaxError|IndentationError|TabError): ", re.MULTILINE),
        _says("Python cannot read the script: the line above names the place. Look also at the Python version."),
    ),
    (
        re.compile(r"Input contains NaN|Loss is (?:inf|nan)|InvalidArgumentError.*(?:NaN|Inf)", re.IGNORECASE),
        _says("Values stopped being finite: lower the learning rate, or look at the data for missing values."),
    ),
)
