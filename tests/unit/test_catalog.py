import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import REPOSITORY
from utils.datasets import catalog
from utils.errors import CatalogError

SHA = "sha256:" + "0" * 64
FILE = f"""
[[api.files]]
name = "a.csv"
url = "https://example.org/a.csv"
digests = ["{SHA}"]
"""
API = '[api]\ntitle = "API"\n' + FILE


@pytest.fixture
def parsed(tmp_path):
    def parse(text):
        path = tmp_path / "catalog.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return catalog.read(path)

    return parse


def test_the_project_catalogue_has_all_data_sets_in_order():
    listed = catalog.read(REPOSITORY / "data" / "catalog.toml")
    assert listed.names[: len(catalog.PROJECT)] == catalog.PROJECT
    assert {name: len(entry.files) for name, entry in listed.project.items()} == {
        "api": 3,
        "waf": 6,
        "nsl_kdd": 6,
        "cicids2017": 16,
        "hdfs": 6,
        "traffic": 0,
    }
    assert all(entry.title and entry.licence for entry in listed.project.values())


def test_the_project_catalogue_says_which_files_are_optional_and_what_is_lost_without_them():
    listed = catalog.read(REPOSITORY / "data" / "catalog.toml")
    required = {
        name: [file.name for file in entry.files if not file.optional] for name, entry in listed.project.items()
    }
    assert required["api"] == ["supervised_dataset.csv"]
    assert required["waf"] == ["payload_train.csv", "payload_test.csv"]
    assert required["nsl_kdd"] == ["KDDTrain+.txt", "KDDTest+.txt"]
    assert len(required["cicids2017"]) == 16
    assert len(required["hdfs"]) == 6
    optional = [file for entry in listed.project.values() for file in entry.files if file.optional]
    assert all(file.without for file in optional)


def test_every_public_address_is_pinned_to_a_commit():
    listed = catalog.read(REPOSITORY / "data" / "catalog.toml")
    for entry in listed.project.values():
        for file in entry.files:
            assert any(len(part) == 40 and set(part) <= set(string.hexdigits) for part in file.url.split("/")), (
                file.name
            )


def test_an_entry_becomes_what_it_says(parsed):
    text = API + 'bytes = 7\noptional = true\nwithout = "much"\nnote = "rows"\n'
    file = parsed(text).project["api"].files[0]
    assert file == catalog.FileEntry(
        "a.csv", "https://example.org/a.csv", (SHA,), size=7, optional=True, without="much", note="rows"
    )


def test_own_entries_stand_after_the_project_in_their_order(parsed):
    listed = parsed('[zebra]\nkind = "log"\nfiles = ["z.log"]\n[aurora]\nkind = "table"\nfiles = ["a.csv"]\n' + API)
    assert listed.names == ("api", "zebra", "aurora")
    assert listed.own["zebra"]["files"] == ["z.log"]


def test_a_slip_in_an_own_entry_does_not_stop_the_catalogue(parsed):
    listed = parsed(API + '[mine]\nkind = "tabel"\n')
    listed.require(["api", "mine"])
    assert listed.own["mine"] == {"kind": "tabel"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("= 3\n" + API, "must be TOML, found an error: .*line 1.*; correct it there"),
        (b'\xff[api]\ntitle = "x"', "must be UTF-8 text, found byte 0xff at 0: save it as UTF-8"),
        ("api = 3", r"entry \[api\]: expected a table of keys, found 3"),
        ('[api]\nkind = "table"\nfiles = ["a.csv"]', r"entry \[api\]: 'api' is a name of the project's own data"),
        ("[api]\nfiles = []", r"entry \[api\]: the key title is missing"),
        ('[api]\ntitle = "x"', r"entry \[api\]: the key files is missing"),
        ("[api]\ntitle = 3\nfiles = []", r"entry \[api\]: title must be a string, found 3"),
        ('[api]\ntitle = "x"\nfiles = "a"', r"entry \[api\]: files must be a list, found 'a'"),
        ('[api]\ntitle = "x"\nfiles = ["a.csv"]', r"entry \[api\], file 1: expected a table of keys, found 'a.csv'"),
        ('[api]\ntitle = "x"\nlicense = "MIT"\nfiles = []', r"unknown key 'license' \(did you mean 'licence'\?\)"),
        (API + "colour = 3", r"entry \[api\], file a.csv: unknown key 'colour': use name, url"),
        (API + 'digest = "x"', r"file a.csv: unknown key 'digest' \(did you mean 'digests'\?\)"),
        (API + "bytes = true", "file a.csv: bytes must be a whole number, found True"),
        (API + 'bytes = "7"', "file a.csv: bytes must be a whole number, found '7'"),
        (API + "optional = 1", "file a.csv: optional must be true or false, found 1"),
        (API + "optional = true", "file a.csv: optional = true and without = .* go together"),
        (API + 'without = "much"', "file a.csv: optional = true and without = .* go together"),
        (API + FILE, r"entry \[api\]: file name 'a.csv' stands twice"),
        (API.replace(f'"{SHA}"', ""), "file a.csv: digests must hold at least one digest"),
        (API.replace(f'"{SHA}"', "3"), "file a.csv: digests must be .* found 3"),
        (API.replace("sha256:", "md5:"), "file a.csv: digests must be .* found 'md5:0"),
        (API.replace(SHA, SHA[:-1]), "file a.csv: digests must be 'sha256:' and 64"),
        (API.replace("https", "ftp"), "file a.csv: url must be an http or https address, found 'ftp:"),
        (API.replace("https://example.org/a.csv", "https://"), "file a.csv: url must be an http or https address"),
        (API.replace('"a.csv"', '"../a.csv"'), r"file \.\./a.csv: name must be a plain file name"),
        (API.replace('"a.csv"', '"..\\\\a.csv"'), "name must be a plain file name"),
        (API.replace('"a.csv"', '".hidden"'), "name must be a plain file name"),
        (API.replace('"a.csv"', '""'), "name must be a plain file name"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_entry_and_key(parsed, text, reason):
    with pytest.raises(CatalogError, match=reason) as refusal:
        parsed(text)
    assert "\n" not in str(refusal.value).strip()


TABLE = 'kind = "table"\nfiles = ["own/a.csv"]\n'
SLIPS = {
    "two words": ("my data", "[my data]\n" + TABLE, r"\[my data\]: line \d+ must be TOML, .* a name has letters"),
    "two words in quotes": (
        "my data",
        '["my data"]\n' + TABLE,
        r"\['my data'\]: a name has letters, digits, _ and - only",
    ),
    "a path": ("../up", '["../up"]\n' + TABLE, r"\['\.\./up'\]: a name has letters, digits, _ and - only"),
    "no closing bracket": ("mine", "[mine\n" + TABLE, r"\[mine\]: line \d+ .* between \[ and \]$"),
    "a dot": ("my", "[my.data]\n" + TABLE, r"\[my.data\]: a name has no dots: write \[my_data\]"),
    "twice": (
        "mine",
        f"[mine]\n{TABLE}[mine]\n{TABLE}",
        r"\[mine\]: line 11 .*twice\): give every entry a name of its own",
    ),
    "double brackets": ("mine", "[[mine]]\n" + TABLE, r"\[mine\]: .* found \[\[mine\]\]: write \[mine\]"),
    "text without quotes": ("mine", "[mine]\nkind = table\n", r"line 9 .*found kind = table .*between quotes$"),
    "list without quotes": ("mine", "[mine]\nfiles = [own/a.csv]\n", "between quotes$"),
    "curly quotes": ("mine", "[mine]\nkind = “table”\n", "write straight quotes"),
    "backslashes": ("mine", '[mine]\nfiles = ["C:\\Users\\a.csv"]\n', "between single quotes$"),
    "a pattern in double quotes": ("mine", '[mine]\nheader = "(?P<content>\\S+)"\n', "between single quotes$"),
    "a colon": ("mine", '[mine]\nkind: "table"\n', "write = between a key and its value$"),
    "a table over several lines": ("mine", '[mine]\ncolumns = {\n label = "y",\n}\n', "on one line, without a comma"),
    "a comma at the end": ("mine", '[mine]\ncolumns = { label = "y", }\n', "on one line, without a comma"),
    "a key twice": ("mine", '[mine]\nkind = "log"\nkind = "log"\n', "keep each key once$"),
    "a list that does not end": ("mine", '[mine]\nfiles = ["a.csv"\n', r"\[mine\]: line \d+ must be TOML"),
}


@pytest.mark.parametrize("slip", SLIPS)
def test_a_slip_in_the_text_of_one_entry_stops_that_entry_only(parsed, slip):
    name, text, reason = SLIPS[slip]
    good = '[good]\nkind = "table"\nfiles = ["own/b.csv"]\n\n'
    listed = parsed(API + text + "\n" + good)
    listed.require(["api", "good"])
    assert listed.own["good"] == {"kind": "table", "files": ["own/b.csv"]}
    assert set(listed.names) == {"api", "good", name}
    with pytest.raises(CatalogError, match=reason) as refusal:
        listed.require(["good", name])
    assert "\n" not in str(refusal.value)


def test_a_lone_key_above_all_entries_is_refused_when_it_is_asked_for(parsed):
    listed = parsed("depth = 3\n" + API)
    listed.require(["api"])
    with pytest.raises(CatalogError, match="lone key 'depth'"):
        listed.require(listed.names)


def test_a_users_entry_with_a_projects_name_is_told_apart(parsed):
    listed = parsed(API + "[api]\n" + TABLE)
    with pytest.raises(
        CatalogError, match=r"\[api\]: line 8 .* a name of its own, which the project's data do not have"
    ):
        listed.require(["api"])


def test_a_byte_order_mark_does_no_harm(parsed):
    assert parsed(b"\xef\xbb\xbf" + API.encode()).names == ("api",)


def test_a_missing_catalogue_is_one_sentence(tmp_path):
    with pytest.raises(CatalogError, match=r"catalog.toml is missing: restore it"):
        catalog.read(tmp_path / "catalog.toml")


def test_a_catalogue_that_is_a_folder_is_one_sentence(tmp_path):
    with pytest.raises(CatalogError, match="cannot be read"):
        catalog.read(tmp_path)


def test_an_unknown_data_set_is_refused_with_the_near_one_and_the_list(parsed):
    listed = parsed(API + '[mine]\nkind = "log"\n')
    with pytest.raises(CatalogError, match=r"no data set 'mime' \(did you mean 'mine'\?\): choose one of api, mine"):
        listed.require(["api", "mime"])
    with pytest.raises(CatalogError, match=r"no data set 'xyzzy': choose one of"):
        listed.require(["xyzzy"])


def test_a_file_that_is_not_listed_is_refused(parsed):
    entry = parsed(API).project["api"]
    assert entry.file("a.csv").name == "a.csv"
    with pytest.raises(CatalogError, match=r"\[api\]: its loader reads 'b.csv', which files does not list"):
        entry.file("b.csv")


@given(st.text(max_size=80))
def test_no_other_text_passes_for_a_digest(text):
    kind, _, figures = text.partition(":")
    lengths = {"sha256": 64, "git-blob": 40}
    right = kind in lengths and len(figures) == lengths[kind] and set(figures) <= set("0123456789abcdef")
    if right:
        catalog._check_digests("here", [text])
    else:
        with pytest.raises(CatalogError):
            catalog._check_digests("here", [text])


@given(st.sampled_from(["sha256", "git-blob"]), st.binary(min_size=32, max_size=32))
def test_every_digest_passes(kind, content):
    catalog._check_digests("here", [f"{kind}:{content.hex()[: 64 if kind == 'sha256' else 40]}"])
