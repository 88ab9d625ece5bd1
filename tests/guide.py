"""A laboratory with the examples of the guide to own data in it."""

import re
import tomllib
from pathlib import Path

import pytest

GUIDE = Path(__file__).resolve().parents[1] / "data" / "README.md"
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="session")
def blocks():
    """Language, file name and text of every block of the guide."""
    return BLOCK.findall(GUIDE.read_text(encoding="utf-8"))


@pytest.fixture
def guided(lab, blocks):
    """Entries of the guide, after its catalogue entries and its files were put into the laboratory."""
    entries = "\n".join(text for language, _, text in blocks if language == "toml")
    with lab.catalog_file.open("a", encoding="utf-8") as catalogue:
        catalogue.write("\n" + entries)
    for _, name, text in blocks:
        if name:
            (lab.data_dir / name).parent.mkdir(exist_ok=True)
            (lab.data_dir / name).write_text(text, encoding="utf-8")
    return tomllib.loads(entries)
