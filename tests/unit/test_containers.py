"""Dockerfiles, compose file, Prometheus and Grafana without an engine: rules, and names that must agree."""

import json
import re
from fnmatch import fnmatch

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import REPOSITORY
from utils.serving.observing import Observer

yaml = pytest.importorskip("yaml", reason="PyYAML, which MLflow brings, reads the files")
DEPLOY = REPOSITORY / "deploy"
DOCKERFILES = (REPOSITORY / "Dockerfile", DEPLOY / "tracking.Dockerfile")
COMPOSE = yaml.safe_load((REPOSITORY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
SECRETS = ("POSTGRES_PASSWORD", "ANOMALY_API_KEY", "GRAFANA_PASSWORD")
FROM_PROMETHEUS = {"up"}
METRIC = re.compile(r"\b(?:anomaly|process|python)_[a-z_0-9]+\b|(?<![\w:])up\b")
RECORDED = re.compile(r"\b[a-z]+:[a-z_]+:[a-z0-9]+\b")
PINNED = re.compile(r"^(?P<name>[A-Za-z0-9_.\-]+)==(?P<version>[^\s;]+)", re.MULTILINE)


def instructions(file):
    """Instructions of a Dockerfile: name and the rest, continued lines joined."""
    text = re.sub(r"\\\n\s*", " ", file.read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [tuple(line.split(maxsplit=1)) for line in lines]


def pins(file):
    return {found["name"].lower(): found["version"] for found in PINNED.finditer(file.read_text(encoding="utf-8"))}


def names_of(expression):
    return set(METRIC.findall(RECORDED.sub("", re.sub(r'"[^"]*"', "", expression))))


@pytest.fixture(scope="module")
def exposed():
    """Names of all that the service exposes after a request, a load and a look at drift, with their labels."""
    from utils.serving.drift import Metric

    observer = Observer()
    observer.told("loaded", {"model": "api", "version": 1})
    observer.told("load failed", {"model": "api"})
    observer.began()
    observer.ended("/{model}/predict", 200, 0.01, {"model": "api", "version": 1, "rows": 3, "alarms": 1})
    said = (REPOSITORY / "utils" / "serving" / "drift.py").read_text(encoding="utf-8")
    counted = set(re.findall(r'"(anomaly_drift_[a-z_]+)", "[^"]+", COUNTED', said))
    drift = [
        Metric(name, "", "counter" if name in counted else "gauge", {"kind": "column", "column": "size"}, 1.0)
        for name in sorted(set(re.findall(r'"(anomaly_drift_[a-z_]+)"', said)))
    ]
    families = text_string_to_metric_families(observer.exposed({"api": drift}).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def rules():
    groups = yaml.safe_load((DEPLOY / "prometheus" / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard():
    return json.loads((DEPLOY / "grafana" / "dashboards" / "anomaly.json").read_text(encoding="utf-8"))


def expressions():
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    asked = [one["expr"] for one in dashboard()["annotations"]["list"]]
    return shown + asked + [rule["expr"] for rule in rules()]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_images_are_pinned_run_without_root_and_tell_their_health(file):
    found = instructions(file)
    bases = [rest.split()[0] for name, rest in found if name == "FROM"]
    assert all(re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+", base) for base in bases)
    users = [rest for name, rest in found if name == "USER"]
    assert users
    assert users[-1].split(":")[0].isdigit()
    assert int(users[-1].split(":")[0]) >= 1000
    last = [name for name, _ in found]
    assert last.index("USER") < last.index("CMD")
    (health,) = [rest for name, rest in found if name == "HEALTHCHECK"]
    assert "/health" in health
    assert "urllib.request" in health, "a slim image has no curl"
    assert all(rest.startswith("[") for name, rest in found if name in ("CMD", "ENTRYPOINT"))
    assert not [name for name, _ in found if name == "ADD"]
    assert not re.search(r"(PASSWORD|SECRET|API_KEY)\s*=", file.read_text(encoding="utf-8"))


def test_the_image_of_the_service_is_made_in_two_stages_of_what_serving_needs():
    found = instructions(REPOSITORY / "Dockerfile")
    assert next(rest.split()[-1] for name, rest in found if name == "FROM") == "packages"
    last = next(place for place in reversed(range(len(found))) if found[place][0] == "FROM")
    copied = {rest.split()[-2] for name, rest in found[last:] if name == "COPY"}
    assert copied == {"/opt/venv", "mlflow.db", "mlartifacts"}
    (command,) = [json.loads(rest) for name, rest in found if name == "CMD"]
    assert command == ["python", "-m", "utils.serving", "--host", "0.0.0.0", "--port", "8000"]


@pytest.mark.parametrize("file", DOCKERFILES, ids=lambda file: file.name)
def test_what_an_image_copies_exists_and_is_let_through(file):
    kept = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").split()
    assert "*" in kept
    through = [line[1:] for line in kept if line.startswith("!")]
    sources = [source for name, rest in instructions(file) if name == "COPY" for source in rest.split()[:-1]]
    default = dict(rest.split("=") for name, rest in instructions(file) if name == "ARG")
    for source in sources:
        path = source.replace("${REQUIREMENTS}", default.get("REQUIREMENTS", ""))
        if path.startswith(("--from", "/opt")):
            continue
        assert (REPOSITORY / path).exists()
        assert any(fnmatch(path, pattern) for pattern in through), path


@pytest.mark.parametrize("image", ["serving", "tracking"])
def test_images_install_the_versions_that_the_laboratory_is_tested_with(image):
    locked, installed = pins(REPOSITORY / "requirements.txt"), pins(DEPLOY / f"requirements-{image}.txt")
    assert {name: locked[name] for name in installed if name in locked and installed[name] != locked[name]} == {}
    asked = (DEPLOY / f"requirements-{image}.in").read_text(encoding="utf-8")
    wanted = {re.split(r"[\[;=<> ]", line)[0] for line in asked.splitlines() if line and not line.startswith("#")}
    assert wanted <= set(installed)
    assert not {"tensorflow", "tensorflow-cpu", "jupyterlab", "shap"} & set(installed)
    new = set(installed) - set(locked)
    assert new <= ({"psycopg", "psycopg-binary"} if image == "tracking" else set())


def test_the_service_has_all_packages_that_it_imports():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (REPOSITORY / "utils" / "serving").glob("*.py"))
    imported = set(re.findall(r"^\s*(?:from|import) ([a-z_0-9]+)", source, re.MULTILINE))
    installed = pins(DEPLOY / "requirements-serving.txt")
    foreign = imported & {
        "fastapi",
        "starlette",
        "uvicorn",
        "pydantic",
        "prometheus_client",
        "numpy",
        "polars",
        "orjson",
    }
    assert foreign >= {"fastapi", "uvicorn", "prometheus_client"}
    assert {name.replace("_", "-") for name in foreign} <= set(installed)


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_confined(name):
    service = SERVICES[name]
    assert service["restart"] == "unless-stopped"
    assert service["read_only"] is True
    assert service["tmpfs"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service["deploy"]["resources"]["limits"]) == {"cpus", "memory"}
    assert "healthcheck" in service or "build" in service
    assert not {"privileged", "network_mode", "pid", "ipc"} & set(service)
    assert re.fullmatch(r"[a-z/\-]+:v?\d+\.\d+[\w.\-]*", service["image"]), "a pinned tag"
    for port in service.get("ports", []):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{[A-Z]+_PORT:-\d+\}:\d+", port), "this machine only"
    for volume in service.get("volumes", []):
        source, _, rest = volume.partition(":")
        if source.startswith("./"):
            assert (REPOSITORY / source).is_dir()
            assert rest.endswith(":ro")
        else:
            assert source in COMPOSE["volumes"]
    for network in service["networks"]:
        assert network in COMPOSE["networks"]


def test_the_database_is_reached_by_the_tracking_server_alone():
    assert COMPOSE["networks"]["storage"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "storage" in service["networks"]] == ["postgres", "tracking"]
    assert "ports" not in SERVICES["postgres"]


def test_services_wait_until_those_that_they_need_are_healthy():
    chain = {name: set(service.get("depends_on", {})) for name, service in SERVICES.items()}
    assert chain == {
        "postgres": set(),
        "tracking": {"postgres"},
        "service": {"tracking"},
        "prometheus": {"service"},
        "grafana": {"prometheus"},
    }
    conditions = [each["condition"] for service in SERVICES.values() for each in service.get("depends_on", {}).values()]
    assert set(conditions) == {"service_healthy"}


def test_no_secret_is_written_down_and_an_unset_one_stops_everything():
    for service in SERVICES.values():
        for key, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|KEY|SECRET|TOKEN", key):
                assert re.fullmatch(r"\$\{([A-Z_]+):\?set \1 in \.env, see \.env\.example\}", value)
            assert "@" not in str(value) or ":" not in str(value).split("//")[1].split("@")[0], (
                "no password in addresses"
            )
    example = (REPOSITORY / ".env.example").read_text(encoding="utf-8")
    assert {line for line in example.splitlines() if line and not line.startswith("#")} == {
        f"{one}=" for one in SECRETS
    }
    asked = set(re.findall(r"\$\{([A-Z_]+)[:}]", (REPOSITORY / "compose.yaml").read_text(encoding="utf-8")))
    assert asked == set(SECRETS) | set(re.findall(r"# ([A-Z]+_PORT)=", example))


def test_prometheus_scrapes_the_service_with_its_key():
    (job,) = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["service:8000"]}]
    key = job["authorization"]["credentials_file"]
    assert job["authorization"]["type"] == "Bearer"
    assert f"> {key} " in SERVICES["prometheus"]["entrypoint"][2]
    assert "ANOMALY_API_KEY" in SERVICES["prometheus"]["environment"]
    assert "/tmp" in SERVICES["prometheus"]["tmpfs"]


def test_every_metric_of_dashboard_and_rules_is_one_of_the_service(exposed):
    wanted = set().union(*map(names_of, expressions()))
    assert len(wanted) >= 12
    assert wanted - set(exposed) - FROM_PROMETHEUS == set()


def test_every_label_that_is_asked_for_is_one_of_its_metric(exposed):
    for expression in expressions():
        for name, inside in re.findall(r"\b(anomaly_[a-z_0-9]+)\{([^}]*(?:\{[^}]*\}[^}]*)?)\}", expression):
            asked = set(re.findall(r'([a-z_]+)(?==~?"|!=)', re.sub(r'"[^"]*"', '"', inside)))
            assert asked <= exposed[name], expression


def test_the_rules_that_are_built_on_others_exist():
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = set().union(*(RECORDED.findall(rule["expr"]) for rule in rules() if "alert" in rule))
    assert used
    assert used <= recorded
    assert all(
        {"severity"} <= set(rule["labels"]) and rule["annotations"]["summary"] for rule in rules() if "alert" in rule
    )


def test_the_dashboard_is_ready_when_grafana_starts():
    (source,) = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/anomaly.yml").read_text())["providers"]
    assert any(volume.startswith("./deploy/grafana/dashboards:" + provider["options"]["path"]) for volume in
               SERVICES["grafana"]["volumes"])  # fmt: skip
    panels = dashboard()["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}
    assert len({panel["id"] for panel in panels}) == len(panels)
    titles = " ".join(panel["title"] for panel in panels).lower()
    for part in ("requests", "time to answer", "fail", "anomalies", "drift", "version"):
        assert part in titles
    cells = [
        (x, y)
        for panel in panels
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)), "panels must not lie on each other"
    assert max(x for x, _ in cells) < 24
