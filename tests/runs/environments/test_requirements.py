"""Requirements files as pip writes them, and what is refused in them, by file and line."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runs.environments.requirements import (
    MOST_BYTES,
    MOST_DEPTH,
    MOST_LINES,
    Requirements,
    requirements_read,
)

HASH = "sha256:" + "a1" * 32


def read(files: Mapping[str, str | bytes], path: str = "requirements.txt", **options: bool) -> Requirements:
    def opened(name: str, size: int) -> bytes | None:
        content = files.get(name)
        return None if content is None else (content.encode() if isinstance(content, str) else content)[:size]

    return requirements_read(path, opened, **options)


def asked(text: str | bytes) -> list[tuple[str, str]]:
    found = read({"requirements.txt": text})
    assert found.problems == []
    return [(str(one.requirement), one.where) for one in found.requirements]


def refused(text: str | bytes, **options: bool) -> str:
    found = read({"requirements.txt": text}, **options)
    assert found.requirements == []
    (problem,) = found.problems
    return problem


def test_packages_comments_and_blank_lines_are_read_with_their_places() -> None:
    text = "# data\n\npandas>=2  # frames\nscikit-learn[test] == 1.7\r\n   six\n"
    assert asked(text) == [
        ("pandas>=2", "requirements.txt:3"),
        ("scikit-learn[test]==1.7", "requirements.txt:4"),
        ("six", "requirements.txt:5"),
    ]


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("pandas \\\n  >=2,\\\n <3\nsix", ["pandas<3,>=2", "six"]),
        ("six \\\n# a comment ends it\nwrapt", ["six", "wrapt"]),
        ("six\\", ["six"]),
        ("six ; python_version < '3.12'", ['six; python_version < "3.12"']),
        ("name#fragment", None),
        ("\ufeffsix", ["six"]),
        ("numpy # -r other.txt", ["numpy"]),
        ("", []),
    ],
)
def test_lines_are_joined_and_cut_as_pip_does(text: str, requirements: list[str] | None) -> None:
    if requirements is None:
        assert "is no package requirement" in refused(text)
    else:
        assert [requirement for requirement, _ in asked(text)] == requirements


def test_the_first_line_of_a_continued_one_is_its_place() -> None:
    assert asked("# one\nsix \\\n==1.17\nwrapt") == [
        ("six==1.17", "requirements.txt:2"),
        ("wrapt", "requirements.txt:4"),
    ]


def test_hashes_are_kept_with_their_package() -> None:
    found = read({"requirements.txt": f"six==1.17 \\\n    --hash={HASH} \\\n    --hash {HASH[:-1]}0\nwrapt\n"})
    assert found.problems == []
    assert [one.hashes for one in found.requirements] == [(HASH, f"{HASH[:-1]}0"), ()]


@pytest.mark.parametrize("spelling", ["-r more/base.txt", "--requirement=more/base.txt", "-rmore/base.txt"])
def test_an_included_file_is_found_beside_the_one_that_includes_it(spelling: str) -> None:
    files = {"requirements.txt": f"{spelling}\nsix", "more/base.txt": "-r ../top.txt\nwrapt", "top.txt": "gast"}
    found = read(files)
    assert found.problems == []
    places = [(one.requirement.name, one.where) for one in found.requirements]
    assert places == [("gast", "top.txt:1"), ("wrapt", "more/base.txt:2"), ("six", "requirements.txt:2")]


def test_constraints_are_kept_apart_and_what_they_include_by_r_is_required() -> None:
    files = {"requirements.txt": "-c limits.txt\nsix", "limits.txt": "wrapt<2\n-r more.txt", "more.txt": "gast"}
    found = read(files)
    assert [str(one.requirement) for one in found.constraints] == ["wrapt<2"]
    assert [one.requirement.name for one in found.requirements] == ["gast", "six"]


def test_a_file_that_is_included_twice_counts_once() -> None:
    files = {"requirements.txt": "-r a.txt\n-r b.txt", "a.txt": "-r c.txt", "b.txt": "-r c.txt", "c.txt": "six"}
    assert len(read(files).requirements) == 1
    assert read(files).problems == []


def test_a_circle_is_refused_with_its_chain() -> None:
    files = {"requirements.txt": "six\n-r a/b.txt", "a/b.txt": "wrapt\n\n-r ../requirements.txt"}
    assert read(files).problems == [
        "a/b.txt:3 closes a circle: requirements.txt includes a/b.txt includes requirements.txt. Remove one of these "
        "lines."
    ]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("-i https://index.example/simple", "has -i; which index is asked is the administrator's choice"),
        ("--index-url=https://index.example/simple", "--index-url; which index is asked is the administrator's"),
        ("--extra-index-url https://index.example", "the administrator's choice"),
        ("--find-links ./wheels", "the administrator's choice"),
        ("-f wheels", "the administrator's choice"),
        ("--trusted-host index.example", "the administrator's choice"),
        ("--no-index", "the administrator's choice"),
        ("--pre", "has the option '--pre', which is not supported"),
        ("--no-binary :all:", "has the option '--no-binary'"),
        ("six --global-option=x", "has the option '--global-option'"),
        ("-x", "has the option '-x'"),
        ("-e git+https://host.example/x.git", "names a repository"),
        ("https://host.example/six.whl", "names an address without a package: write it as name @"),
        ("six @ https://host.example/six.whl", "names an address. Packages come from the configured index"),
        ("git+https://host.example/six.git", "names a repository"),
        ("six @ git+ssh://git@host.example/six.git@v1", "names a repository"),
        ("six==${VERSION}", "has a variable in 'six==${VERSION}', which is not filled in"),
        ("scikit learn", "'scikit learn' is no package requirement"),
        ("six ; os_name == '$(touch /tmp/x)' ; rm -rf /", "is no package requirement"),
        ("six ; " + "(" * 1500, "is no package requirement: it nests too deeply"),
        ("six ; " + "(" * 3000, "is too long"),
        ("six==1.17 --hash=sha512:00", "has the hash 'sha512:00'"),
        (f"six>=1 --hash={HASH}", "has a hash but no exact version"),
        ("-r", "has -r without the name of one file"),
        ("-r a.txt b.txt", "has -r without the name of one file"),
        ("-r ../secret.txt", "includes '../secret.txt', which lies outside the source folder"),
        ("-r /etc/passwd", "includes '/etc/passwd', which lies outside"),
        ("-r https://host.example/r.txt", "only files of the source folder can be included"),
        ("-r 'unclosed", "includes"),
    ],
)
def test_what_cannot_be_taken_is_refused_by_its_line(line: str, words: str) -> None:
    if line == "-r 'unclosed":
        assert read({"requirements.txt": f"\n{line}\n"}).problems[0].startswith("'unclosed, which requirements.txt")
        return
    problem = refused(f"\n{line}\n")
    assert problem.startswith("requirements.txt:2 ")
    assert words in problem


def test_a_file_that_is_not_there_is_named_with_the_one_that_wants_it() -> None:
    assert read({}).problems == ["requirements.txt is not in the source folder."]
    assert read({"requirements.txt": "-r gone.txt"}).problems == [
        "gone.txt, which requirements.txt includes, is not in the source folder."
    ]
    assert read({}, "../up.txt").problems == ["../up.txt lies outside the source folder."]


def test_a_constraint_is_a_name_with_versions() -> None:
    problems = read({"requirements.txt": "-c c.txt", "c.txt": "six[extra]<2"}).problems
    assert problems == ["c.txt:1 has 'six[extra]<2'; a constraint is a name with versions, no extras and no address."]


def test_an_address_is_taken_where_the_administrator_allows_it() -> None:
    found = read({"requirements.txt": "six @ https://host.example/six.whl"}, allow_urls=True)
    assert (found.problems, found.requirements[0].requirement.url) == ([], "https://host.example/six.whl")
    for line in ("six @ file:///etc/passwd", "six @ https://me:pw@host.example/six.whl", "six @ ssh://host/x"):
        assert "has no address that can be fetched" in refused(line, allow_urls=True)


def test_size_lines_depth_and_text_have_limits() -> None:
    assert "1,000,000 bytes in all" in refused(b"#" * (MOST_BYTES + 1))
    assert "5,000 lines in all" in refused("\n" * MOST_LINES)
    assert "is not UTF-8 text: byte 4" in refused(b"six\n\xff\xfe")
    deep = {f"{n}.txt": f"-r {n + 1}.txt" for n in range(MOST_DEPTH + 5)}
    assert "one too many" in read(deep, "0.txt").problems[0]
    many = {
        "requirements.txt": "".join(f"-r {n}.txt\n" for n in range(20)),
        **{f"{n}.txt": "#\n" * 400 for n in range(20)},
    }
    assert "5,000 lines in all" in read(many).problems[0]


def test_a_megabyte_of_blanks_is_read_at_once() -> None:
    assert asked(" " * (MOST_BYTES - 10) + "\nsix") == [("six", "requirements.txt:2")]


NAMES = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
VERSIONS = st.sampled_from(["", "==1.0", ">=2", "~=3.1", "!=4,<5"])


@given(st.lists(st.tuples(NAMES, VERSIONS), max_size=8), st.randoms(use_true_random=False))
def test_however_lines_are_laid_out_they_ask_for_the_same(lines: list[tuple[str, str]], random) -> None:
    text = ""
    for name, version in lines:
        text += random.choice(["", "\n", "# note\n", "  \t\n"])
        text += f"{name}{random.choice(['', ' '])}{random.choice(['', chr(92) + chr(10)])}{version}"
        text += random.choice(["", "  # why", "\t# -r x"]) + random.choice(["\n", "\r\n"])
    found = read({"requirements.txt": text})
    assert found.problems == []
    assert [one.requirement.name for one in found.requirements] == [name for name, _ in lines]


@given(st.dictionaries(st.sampled_from(["requirements.txt", "a.txt", "b/c.txt"]), st.binary(max_size=200)))
def test_no_bytes_whatever_raise(files: dict[str, bytes]) -> None:
    read(files)


LINES = st.sampled_from(
    ["-r a.txt", "-c a.txt", "-r b/c.txt", "-r ../a.txt", "six", "-e .", "--pre", "\\", "#", "-", "--", "-r", "@", ";"]
)


@given(st.dictionaries(st.sampled_from(["requirements.txt", "a.txt", "b/c.txt"]), st.lists(LINES, max_size=6)))
def test_no_arrangement_of_includes_raises_or_goes_on_for_ever(files: dict[str, list[str]]) -> None:
    found = read({name: "\n".join(lines) for name, lines in files.items()})
    assert len(found.requirements) <= 18
