"""What a reviewer sees: a moved store in a real browser, with no request to any other machine."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

CHROMIUM = Path("/usr/bin/chromium")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: no browser to look with"),
]


@pytest.fixture(scope="module")
def browser():
    """Debian's Chromium without a window."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=str(CHROMIUM), args=SWITCHES)
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser, moved_store, request):
    """A function that opens a place of the UI; in the end every request must have gone to this machine.

    ``ANOMALY_SCREENSHOTS`` names a folder for a picture of each page.
    """
    asked, pages = [], []

    def _open(route):
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda sent: asked.append(sent.url))
        page.goto(f"{moved_store.address}/#/{route}")
        pages.append(page)
        return page

    yield _open
    if folder := os.environ.get("ANOMALY_SCREENSHOTS"):
        for number, page in enumerate(pages):
            page.screenshot(path=Path(folder) / f"{request.node.name}-{number}.png")
    for page in pages:
        page.close()
    assert asked
    assert {urlsplit(url).hostname for url in asked if urlsplit(url).scheme in {"http", "https"}} == {"127.0.0.1"}


def test_the_run_table_shows_the_run_and_its_notebook(open_page, moved_store):
    page = open_page(f"experiments/{moved_store.experiments['hdfs']}/runs?workflowType=machine_learning")
    page.get_by_text("exploration", exact=True).first.wait_for()


def test_a_figure_is_drawn(open_page, moved_store):
    figure = "svg" if _drawn(moved_store) else "html"
    where = (
        f"experiments/{moved_store.experiments['hdfs']}/runs/{moved_store.run_id}/artifacts/figures/balance.{figure}"
    )
    page = open_page(where)
    if figure == "svg":
        picture = page.locator("img[src^='blob:'], img[src*='balance'], .image-outer-container img, canvas").first
        picture.wait_for()
    else:
        page.frame_locator("iframe").locator(".main-svg").first.wait_for()


def test_a_table_is_shown(open_page, moved_store):
    run = f"experiments/{moved_store.experiments['hdfs']}/runs/{moved_store.run_id}"
    page = open_page(f"{run}/artifacts/tables/columns.json")
    page.get_by_text("nulls").first.wait_for()


def test_the_executed_notebook_opens_with_its_figure(open_page, moved_store):
    run = f"experiments/{moved_store.experiments['notebooks']}/runs/{moved_store.record_id}"
    page = open_page(f"{run}/artifacts/01_sample.html")
    frame = page.frame_locator("iframe").first
    frame.get_by_role("heading", name="Sample notebook").wait_for()
    shown = frame.locator("img[alt='Balance of the data'], .main-svg").first
    shown.wait_for()


def test_the_description_of_a_run_leads_to_its_notebook(open_page, moved_store):
    page = open_page(f"experiments/{moved_store.experiments['hdfs']}/runs/{moved_store.run_id}")
    link = page.get_by_role("link", name="01_sample", exact=True).first
    target = link.get_attribute("href")
    assert f"/runs/{moved_store.record_id}/artifacts/01_sample.html" in target
    notebook = open_page(target.partition("#/")[2])
    notebook.frame_locator("iframe").first.get_by_role("heading", name="Sample notebook").wait_for()


def _drawn(moved_store):
    return any((moved_store.folder / "mlartifacts").rglob("balance.svg"))
