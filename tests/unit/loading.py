"""What the tests of all loaders need: files made by hand and checks that hold for whatever a loader assembles."""

import hashlib

import pytest

from utils.datasets import own
from utils.errors import SchemaError


def sha256(content):
    """The digest as the catalogue writes it."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def write(folder, contents):
    """Write files and return their paths by name."""
    paths = {}
    for name, data in contents.items():
        paths[name] = folder / name
        paths[name].write_bytes(data if isinstance(data, bytes) else data.encode())
    return paths


def load_own(folder, contents, **table):
    """Write files and load a user's entry, which names the first of them if it does not say otherwise."""
    write(folder, contents)
    return own.load(own.declare("mine", {"files": list(contents)[:1], **table}, folder))


def refused(call, *parts, error=SchemaError):
    """The call is refused in one line that has all the parts."""
    with pytest.raises(error) as caught:
        call()
    sentence = str(caught.value)
    assert "\n" not in sentence
    for part in parts:
        assert part in sentence, sentence


def assert_roles_complete(assembled):
    """Each column of each frame has a role, no role names a column that is absent, and labels fit together."""
    assert list(assembled.roles) == list(assembled.frames)
    assert assembled.truth
    for name, frame in assembled.frames.items():
        roles = assembled.roles[name]
        single = (roles.label, roles.anomaly_type, roles.time, roles.group, roles.split, roles.sequence)
        named = {*roles.features, *roles.identity, *roles.withheld, *(column for column in single if column)}
        assert named == set(frame.columns), name
        assert not set(roles.features) & {*roles.identity, *roles.withheld}, name
        assert all(roles.withheld.values()), name
        if roles.label:
            assert (frame[roles.label] == (frame[roles.anomaly_type] != "normal")).all(), name
    for defect in assembled.defects:
        assert defect.rows > 0, defect
        assert defect.what, defect
        assert defect.handling, defect


def reasons(loaded):
    """Rows of every defect that was reported, by its text."""
    return {defect.what: defect.rows for defect in loaded.defects}


def rows_of(assembled, words):
    """Rows of the one defect whose text has the words; 0 if it is not reported."""
    found = [defect.rows for defect in assembled.defects if words in defect.what]
    assert len(found) < 2, found
    return found[0] if found else 0
