import os
import subprocess
import sys
from types import ModuleType

import polars as pl
import pytest

from tests.unit.loading import sha256
from tests.unit.misbehaving_server import good, status
from utils import datasets, settings
from utils.datasets import __main__ as command
from utils.datasets.contract import Assembled, Defect, Roles
from utils.errors import CatalogError, DataError, DownloadError, SettingsError

NEEDED = b"value\n1\n2\n"
EXTRA = b"value\n3\n"
UNREAD = b"nobody reads this"


def file_table(name, content, url, *lines):
    return "\n".join(
        ["[[api.files]]", f'name = "{name}"', f'url = "{url}/{name}"', f'digests = ["{sha256(content)}"]', *lines, ""]
    )


@pytest.fixture
def stand_ins(monkeypatch):
    """Loaders and simulators of the same form as the project's, so small that every value is plain to see."""
    asked = []

    def module(name, **content):
        made = ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)

    def read(files):
        asked.append({name: path.read_bytes() for name, path in files.items()})
        return {name: pl.read_csv(path) for name, path in files.items()}

    def simulate(size, seed):
        return {"needed.csv": pl.DataFrame({"value": [seed] * size})}

    def assemble(raw):
        return Assembled(
            frames={"values": pl.concat(raw.values())},
            roles={"values": Roles(unit="value")},
            truth="set by hand",
            defects=(Defect("odd values", 1, "kept"),),
            missing={"graph": "no graph"},
        )

    for name, reads in (("api", ("needed.csv", "extra.csv")), ("traffic", ())):
        module(f"utils.datasets.{name}", KIND="table", READS=reads, read=read, assemble=assemble)
        module(f"utils.simulate.{name}", VERSION=3, simulate=simulate)
    return asked


@pytest.fixture
def shop(lab, server, stand_ins, tmp_path, monkeypatch):
    """A catalogue of two data sets and a user's entry; the files are on the server, the network is on."""
    text = "\n".join(
        [
            '[api]\ntitle = "Values"\nlicence = "MIT"\ncite = "nobody"',
            file_table("extra.csv", EXTRA, server.address, "optional = true", 'without = "no extra values"'),
            file_table("needed.csv", NEEDED, server.address),
            file_table("unread.csv", UNREAD, server.address, "optional = true", 'without = "nothing is lost"'),
            '[traffic]\ntitle = "Traffic"\nfiles = []',
        ]
    )
    lab.catalog_file.write_text(text)
    monkeypatch.setenv("ANOMALY_OFFLINE", "0")
    monkeypatch.setenv("ANOMALY_DATA_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror" / "api").mkdir(parents=True)
    return settings.current()


def add_own_table(places):
    (places.data_dir / "own").mkdir()
    (places.data_dir / "own" / "mine.csv").write_text("size,is_odd\n1,true\n2,false\n3,true\n")
    entry = '\n[mine]\nkind = "table"\nfiles = ["own/mine.csv"]\ncolumns = { label = "is_odd" }\nanomaly = ["true"]\n'
    places.catalog_file.write_text(places.catalog_file.read_text() + entry)


def mirror(places, **contents):
    for name, content in contents.items():
        (places.data_mirror / "api" / f"{name}.csv").write_bytes(content)


def values(dataset):
    return dataset["values"]["value"].to_list()


class TestRealData:
    @pytest.mark.parametrize("source", ["auto", "real"])
    def test_files_of_the_mirror_are_read_in_place(self, shop, stand_ins, server, source):
        mirror(shop, needed=NEEDED, extra=EXTRA)
        data = datasets.load("api", source)
        assert (data.source, data.origin, values(data)) == ("real", "mirror", [1, 2, 3])
        assert stand_ins == [{"needed.csv": NEEDED, "extra.csv": EXTRA}]
        assert not shop.raw_dir.exists()
        assert not server.seen

    def test_everything_that_the_catalogue_and_the_loader_say_is_passed_on(self, shop):
        mirror(shop, needed=NEEDED, extra=EXTRA)
        data = datasets.load("api")
        assert (data.name, data.kind, data.title, data.licence, data.cite) == (
            "api",
            "table",
            "Values",
            "MIT",
            "nobody",
        )
        assert (data.truth, data.defects[0].what, data.main) == ("set by hand", "odd values", "values")
        assert data.roles["values"].unit == "value"
        assert data.missing == {"graph": "no graph"}
        assert data.banner == ""

    def test_what_is_nowhere_else_is_downloaded_but_not_what_the_loader_does_not_read(self, shop, server):
        server.plan("/needed.csv", good(NEEDED))
        server.plan("/extra.csv", good(EXTRA))
        server.plan("/unread.csv", good(UNREAD))
        assert datasets.load("api").origin == "download"
        assert dict(server.seen) == {"/needed.csv": 1, "/extra.csv": 1}
        assert datasets.load("api").origin == "cache"
        assert dict(server.seen) == {"/needed.csv": 1, "/extra.csv": 1}

    def test_several_places_are_named_together(self, shop, server):
        mirror(shop, needed=NEEDED)
        server.plan("/extra.csv", good(EXTRA))
        assert datasets.load("api").origin == "download + mirror"

    def test_the_digest_is_that_of_the_files_read_wherever_they_are(self, shop, server):
        server.plan("/needed.csv", good(NEEDED))
        server.plan("/extra.csv", good(EXTRA))
        downloaded = datasets.load("api").digest
        joint = "\n".join(sorted([sha256(NEEDED), sha256(EXTRA)]))
        assert downloaded == sha256(joint.encode())
        mirror(shop, needed=NEEDED, extra=EXTRA)
        (shop.raw_dir / "api" / "needed.csv").unlink()
        assert datasets.load("api").digest == downloaded
        for file in (shop.raw_dir / "api" / "extra.csv", shop.data_mirror / "api" / "extra.csv"):
            file.unlink()
        server.plan("/extra.csv", status(404))
        assert datasets.load("api").digest != downloaded

    def test_without_an_optional_file_the_data_are_real_and_say_what_is_lost(self, shop, stand_ins):
        mirror(shop, needed=NEEDED)
        data = datasets.load("api", "real")
        assert values(data) == [1, 2]
        assert data.missing == {"extra.csv": "no extra values", "graph": "no graph"}
        assert stand_ins == [{"needed.csv": NEEDED}]

    def test_real_names_every_missing_file_and_where_it_is_not(self, shop, server):
        server.plan("/needed.csv", status(404))
        with pytest.raises(
            DownloadError, match=r"found missing needed.csv \(not in data/raw/api, not in the mirror"
        ) as no:
            datasets.load("api", "real")
        assert "404" in str(no.value)
        assert "extra.csv" not in str(no.value)
        assert "\n" not in str(no.value)
        assert server.seen["/extra.csv"] == 0, "an optional file is not fetched for nothing"

    @pytest.mark.parametrize("source", ["auto", "real"])
    @pytest.mark.parametrize("name", ["needed", "extra"])
    def test_a_flipped_byte_stops_and_is_not_simulated_away(self, shop, source, name, server):
        mirror(shop, needed=NEEDED, extra=EXTRA)
        mirror(shop, **{name: b"Value\n1\n2\n"})
        with pytest.raises(DownloadError, match=f"{name}.csv is not the file that the catalogue names"):
            datasets.load("api", source)
        assert not server.seen

    def test_a_wrong_file_is_refused_before_anything_is_fetched(self, shop, server):
        server.plan("/needed.csv", good(NEEDED))
        mirror(shop, extra=b"wrong")
        with pytest.raises(DownloadError, match=r"extra.csv is not the file"):
            datasets.load("api")
        assert not server.seen

    def test_a_wrong_download_stops_auto_too(self, shop, server):
        server.plan("/needed.csv", good(b"other"))
        with pytest.raises(DownloadError, match="nothing was kept"):
            datasets.load("api")
        assert not shop.raw_dir.exists()

    def test_a_file_that_the_loader_reads_must_be_in_the_catalogue(self, shop):
        shop.catalog_file.write_text(shop.catalog_file.read_text().replace('name = "extra.csv"', 'name = "more.csv"'))
        with pytest.raises(CatalogError, match=r"\[api\]: its loader reads 'extra.csv'"):
            datasets.load("api")


class TestSimulatedData:
    def test_auto_simulates_when_a_needed_file_is_not_to_be_had(self, shop, server):
        mirror(shop, extra=EXTRA)
        data = datasets.load("api", seed=7, budget="fast")
        assert (data.source, data.origin) == ("simulated", "simulator")
        assert values(data) == [7] * settings.budget("fast").simulated["api"]
        assert data.banner == "SIMULATED DATA: api comes from the project's simulator, not from Values."
        assert data.truth == "planted by the simulator, so known for every row; in the real data: set by hand"
        assert server.seen == {"/needed.csv": 1}

    def test_auto_stops_asking_after_the_first_needed_file_that_is_missing_but_real_lists_all(self, shop, server):
        text = shop.catalog_file.read_text()
        shop.catalog_file.write_text(text.replace('optional = true\nwithout = "no extra values"', ""))
        assert datasets.load("api").source == "simulated"
        assert sum(server.seen.values()) == 1
        with pytest.raises(DownloadError, match=r"needed.csv \(.*\); extra.csv \("):
            datasets.load("api", "real")

    def test_simulated_never_looks_at_files(self, shop, server):
        mirror(shop, needed=b"wrong")
        assert datasets.load("api", "simulated").source == "simulated"
        assert not server.seen

    def test_the_budget_sets_the_size(self, shop):
        sizes = {name: datasets.load("api", "simulated", budget=name)["values"].height for name in settings.BUDGETS}
        assert sizes == {name: budget.simulated["api"] for name, budget in settings.BUDGETS.items()}

    def test_the_digest_is_that_of_the_recipe(self, shop, monkeypatch):
        first = datasets.load("api", "simulated").digest
        assert first == datasets.load("api", "simulated").digest
        assert first == sha256(f"api, {settings.SEED}, {settings.budget('full').simulated['api']}, 3".encode())
        others = {
            datasets.load("api", "simulated", seed=1).digest,
            datasets.load("api", "simulated", budget="fast").digest,
        }
        monkeypatch.setattr(sys.modules["utils.simulate.api"], "VERSION", 4)
        others.add(datasets.load("api", "simulated").digest)
        assert len(others | {first}) == 4

    @pytest.mark.parametrize("source", ["auto", "simulated"])
    def test_traffic_is_always_simulated(self, shop, source):
        data = datasets.load("traffic", source)
        assert (data.source, data.truth) == ("simulated", "set by hand")

    def test_there_is_no_real_traffic(self, shop):
        with pytest.raises(DataError, match="'traffic' has no public files"):
            datasets.load("traffic", "real")


class TestWrongWords:
    def test_an_unknown_data_set(self, shop):
        with pytest.raises(
            CatalogError, match=r"no data set 'trafic' \(did you mean 'traffic'\?\): choose one of api, traffic"
        ):
            datasets.load("trafic")

    @pytest.mark.parametrize(
        "call", [lambda word: datasets.load("api", word), lambda word: datasets.load_all((), word)]
    )
    def test_an_unknown_source(self, shop, call):
        with pytest.raises(
            SettingsError, match=r"one of auto, real, simulated, found 'simulate' \(did you mean 'simulated'"
        ):
            call("simulate")

    @pytest.mark.parametrize("seed", [-1, 2**32])
    def test_a_seed_that_is_none(self, shop, seed):
        with pytest.raises(SettingsError, match=f"seed must be a whole number from 0 to 4,294,967,295, found {seed}"):
            datasets.load("api", seed=seed)
        with pytest.raises(SettingsError, match="seed must be"):
            datasets.load_all(["traffic"], seed=seed)

    def test_an_unknown_budget(self, shop):
        with pytest.raises(SettingsError, match="budget must be one of fast, full, found 'huge'"):
            datasets.load("api", budget="huge")


class TestAll:
    def test_each_comes_in_the_edition_that_it_has(self, shop):
        add_own_table(shop)
        mirror(shop, needed=NEEDED)
        editions = {
            source: {name: data.source for name, data in datasets.load_all(source=source).items()}
            for source in settings.SOURCES
        }
        assert editions == {
            "auto": {"api": "real", "traffic": "simulated", "mine": "real"},
            "real": {"api": "real", "traffic": "simulated", "mine": "real"},
            "simulated": {"api": "simulated", "traffic": "simulated", "mine": "real"},
        }

    def test_the_order_and_the_choice_are_the_callers(self, shop):
        assert list(datasets.load_all(["traffic", "api", "traffic"], "simulated")) == ["traffic", "api"]
        assert list(datasets.load_all("traffic")) == ["traffic"]

    def test_an_unknown_name_is_found_before_anything_is_loaded(self, shop, stand_ins):
        mirror(shop, needed=NEEDED)
        with pytest.raises(CatalogError, match="no data set 'apy'"):
            datasets.load_all(["api", "apy"])
        assert stand_ins == []

    def test_seed_and_budget_are_passed_on(self, shop):
        data = datasets.load_all(["traffic"], seed=9, budget="fast")["traffic"]
        assert values(data) == [9] * settings.budget("fast").simulated["traffic"]


class TestOwnData:
    def test_names_stand_after_the_project(self, shop):
        add_own_table(shop)
        assert datasets.names() == ("api", "traffic", "mine")

    @pytest.mark.parametrize("source", ["auto", "real"])
    def test_an_entry_loads(self, shop, source):
        add_own_table(shop)
        data = datasets.load("mine", source)
        assert (data.name, data.kind, data.source, data.origin) == ("mine", "table", "real", "own files")
        assert data[data.main].height == 3

    def test_there_is_no_simulator_for_it(self, shop):
        add_own_table(shop)
        with pytest.raises(DataError, match="'mine' is your own and has no simulator"):
            datasets.load("mine", "simulated")

    def test_a_wrong_entry_stops_only_itself(self, shop):
        shop.catalog_file.write_text(shop.catalog_file.read_text() + '\n[mine]\nkind = "tables"\n')
        assert datasets.load("traffic").name == "traffic"
        with pytest.raises(CatalogError, match=r"\[mine\]: kind must be"):
            datasets.load("mine")


class TestCommand:
    def run(self, capsys, *names):
        code = command.main(names)
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    def test_the_table_says_what_there_is_where_from_and_what_is_missing_and_why(self, shop, server, capsys):
        mirror(shop, extra=EXTRA)
        server.plan("/needed.csv", good(NEEDED))
        code, lines, _ = self.run(capsys)
        assert code == 0
        assert lines[0].split() == ["data", "set", "file", "size", "status", "from", "remark"]
        assert lines[1].split() == ["api", "extra.csv", "0.0", "kB", "ok", "mirror"]
        assert lines[2].split() == ["api", "needed.csv", "0.0", "kB", "ok", "download"]
        assert lines[3].split()[:3] == ["api", "unread.csv", "missing"]
        assert "404 Not Found" in lines[3]
        assert lines[3].endswith("without it: nothing is lost")
        assert lines[4:] == ["", "Real: api", "Simulated: traffic (has no public files)", "Your own: none"]

    def test_columns_stand_below_each_other(self, shop, capsys):
        mirror(shop, needed=NEEDED, extra=EXTRA)
        _, lines, _ = self.run(capsys)
        start = lines[0].index("status")
        assert {line[start:].split()[0] for line in lines[1:4]} == {"ok", "missing"}
        assert {line[start - 1] for line in lines[1:4]} == {" "}

    def test_a_needed_file_that_is_missing_means_simulated_and_is_no_failure(self, shop, capsys):
        code, lines, _ = self.run(capsys, "api")
        assert code == 0
        assert lines[-3:] == ["Real: none", "Simulated: api (needed.csv is missing)", "Your own: none"]

    def test_a_refused_file_is_a_failure(self, shop, capsys):
        mirror(shop, needed=b"wrong", extra=EXTRA)
        code, lines, _ = self.run(capsys)
        assert code == 1
        assert lines[2].split()[:3] == ["api", "needed.csv", "refused"]
        assert "is not the file that the catalogue names" in lines[2]
        assert lines[-1] == "Refused, stops until it is put right: api needed.csv"
        assert "Real: none" in lines

    def test_a_wrong_cached_file_is_replaced(self, shop, server, capsys):
        server.plan("/needed.csv", good(NEEDED))
        (shop.raw_dir / "api").mkdir(parents=True)
        (shop.raw_dir / "api" / "needed.csv").write_bytes(b"stale")
        assert self.run(capsys, "api")[0] == 0
        assert (shop.raw_dir / "api" / "needed.csv").read_bytes() == NEEDED

    def test_own_entries_are_listed_with_what_they_hold(self, shop, capsys):
        add_own_table(shop)
        code, lines, _ = self.run(capsys, "mine")
        assert code == 0
        assert lines[1].split()[:5] == ["mine", "own/mine.csv", "ok", "own", "files"]
        assert "3 rows" in lines[1]
        assert lines[-1] == "Your own: mine"

    def test_own_entries_that_do_not_load_are_refused_with_the_reason(self, shop, capsys):
        shop.catalog_file.write_text(shop.catalog_file.read_text() + '\n[mine]\nkind = "logs"\nfiles = "a"\n')
        code, lines, _ = self.run(capsys, "mine", "traffic")
        assert code == 1
        assert "kind must be one of table, events, call_graph, log, found 'logs'" in lines[1]
        assert lines[-1] == "Refused, stops until it is put right: mine"

    def test_wrong_names_and_catalogues_are_one_sentence(self, shop, capsys):
        code, lines, said = self.run(capsys, "apy")
        assert (code, lines) == (2, [])
        assert said.startswith("there is no data set 'apy' (did you mean 'api'?)")
        shop.catalog_file.write_text("= 3")
        assert self.run(capsys)[0] == 2

    def test_sizes_are_easy_to_read(self):
        assert [command._bytes(size) for size in (None, 950, 41_936_045)] == ["", "0.9 kB", "41.9 MB"]


@pytest.mark.parametrize("package", ["utils.datasets", "utils.audit"])
def test_importing_a_package_costs_little(package):
    """The libraries of transport, training and tracking are imported where they are used, not before."""
    program = (
        f"import sys, {package}\n"
        "heavy = {'pooch', 'requests', 'urllib3', 'tqdm', 'sklearn', 'scipy', 'pandas', 'mlflow', 'plotly'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "loaders = {name for name in sys.modules if name.startswith('utils.simulate')}\n"
        "assert not loaders, loaders\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ)
