"""Files that hide a library from the script beside them."""

import pytest

from runs.environments.shadows import shadow_warnings


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("tensorflow.py", "tensorflow.py hides the library tensorflow from the script"),
        ("horovod.py", "the library horovod"),
        ("trainhouse.py", "the library trainhouse"),
        ("numpy.py", "the library numpy"),
        ("keras/__init__.py", "keras/__init__.py hides the library keras"),
        ("random.py", "hides Python's own module random"),
    ],
)
def test_a_file_beside_the_script_with_a_librarys_name_is_named(path: str, words: str) -> None:
    (warning,) = shadow_warnings([path, "train.py"], entry_script="train.py")
    assert words in warning


@pytest.mark.parametrize("path", ["models/keras.py", "keras/layers.py", "numpy.txt", "test/__init__.py", "my_keras.py"])
def test_what_hides_nothing_is_not_named(path: str) -> None:
    assert shadow_warnings([path, "train.py"], entry_script="train.py") == []


def test_what_counts_is_the_folder_of_the_script() -> None:
    paths = ["tensorflow.py", "src/numpy.py", "src/train.py"]
    assert len(shadow_warnings(paths, entry_script="./src/train.py")) == 1
    assert "src/numpy.py" in shadow_warnings(paths, entry_script="src/train.py")[0]
    assert "tensorflow.py" in shadow_warnings(paths, entry_script="main.py")[0]


def test_the_packages_of_the_run_are_libraries_too() -> None:
    paths = ["sklearn.py", "my_package.py", "pandas.py"]
    assert shadow_warnings(paths, entry_script="train.py") == []
    packages = ["scikit-learn>=1", "My-Package", "pandas ; python_version > '3'", "!!"]
    assert len(shadow_warnings(paths, entry_script="train.py", packages=packages)) == 3
