"""The MLflow pages in a real browser, of runs that were sent to a real tracking server over HTTP."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from msclnet import config as settings
from msclnet.model.files import save_model
from msclnet.report.figures.cmc import plot_cmc
from msclnet.report.figures.style import Frame
from msclnet.tracking.delivery import Delivery
from msclnet.tracking.experiment import TrackedSet
from msclnet.tracking.publish import publish
from msclnet.tracking.registry import register
from msclnet.tracking.server import prepare
from msclnet.tracking.views import CURVES, VIEWS
from msclnet.training.learner import build_network
from tests.report.test_curves import regdb_row, scores
from tests.results.files import DIRECTIONS, scored, train
from tests.servers import BROWSER, NO_BROWSER, chromium, pages, tracking_server, visitor

pytestmark = pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    store = f"sqlite:///{folder / 'mlflow.db'}"
    prepare(store)  # else the server takes as long to make it
    with tracking_server(folder, store) as address:
        yield address


@pytest.fixture(scope="module")
def sent(server: str, tmp_path_factory: pytest.TempPathFactory, default: settings.Config) -> dict[str, Any]:
    """Two methods of two splits each, with scores, a summary and a figure, sent to the server."""
    folder = tmp_path_factory.mktemp("results")
    folders = []
    for method, first in (("agw", 40.0), ("msclnet", 60.0)):
        job = settings.train_job(default, "regdb", method, 1)
        for split in (1, 2):
            folders.append(train(folder, settings.replace(job, split=split)))
            scored("regdb", folders[-1], [first + split], DIRECTIONS)
    table = folder / "regdb_summary.csv"
    header = "data,method,feature,direction,trials,rank1,rank1_std,mAP,mAP_std,paper_rank1,paper_mAP"
    rows = [f"stand-in,{m},bn,both,2,{r},0.71,50.00,0.00,84.17,80.99" for m, r in (("agw", 41.5), ("msclnet", 61.5))]
    table.write_text("\n".join([header, *rows]) + "\n")
    cmc = [scores(folder / "cmc", method, 1, [regdb_row([40, 60, 80])]) for method in ("agw", "msclnet")]
    figure = folder / "regdb_cmc.svg"
    plot_cmc(Frame("regdb", "stand-in", ("agw", "msclnet"), figure), 3, cmc)
    delivery = Delivery(TrackedSet("regdb", "stand-in"), ["agw", "msclnet"], folders, [table], [figure])
    result = publish(server, delivery)
    assert publish(server, delivery) == result, "over HTTP, too, a second time adds nothing"
    return result | {"folders": folders, "delivery": delivery}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Of a visitor who comes for the first time: the pages remember columns, order and folds."""
    context = visitor(browser, 1500, 950)
    yield context.new_page()
    context.close()


def run_page(server: str, sent: dict[str, Any], name: str, tab: str = "") -> str:
    run = next(run["run_id"] for run in sent["runs"] if run["name"] == name)
    return f"{server}/#/experiments/{sent['experiment']['id']}/runs/{run}{tab}"


def test_from_its_home_the_way_leads_to_training_runs(browser: Browser, sent: dict[str, Any], tmp_path: Path) -> None:
    """What ``make ui`` opens, to a first visitor: methods with their means, and below each its splits."""
    publish(f"sqlite:///{tmp_path / 'mlflow.db'}", sent["delivery"])
    with pages(tmp_path) as lines:
        context = visitor(browser)
        page = context.new_page()
        page.goto(lines[-1].rpartition(" ")[2])
        page.get_by_role("link", name="RegDB (stand-in)").click()
        expect(page.get_by_role("heading", name="Runs")).to_be_visible()
        expect(page.get_by_role("gridcell", name="61.5", exact=True)).to_be_visible()
        expect(page.get_by_role("columnheader", name="rank1_std", exact=True).first).to_be_visible()
        names = page.get_by_role("gridcell").get_by_role("link", name=re.compile("split|^agw$|^msclnet$"))
        expect(names).to_have_count(2)
        assert sorted(names.all_inner_texts()) == ["agw", "msclnet"]
        method = page.get_by_role("link", name="msclnet", exact=True)
        page.get_by_role("gridcell").filter(has=method).get_by_role("button").first.click()
        expect(page.get_by_role("link", name="msclnet split 1", exact=True)).to_be_visible()
        expect(page.get_by_role("link", name="agw split 1", exact=True)).not_to_be_attached()
        expect(page.get_by_placeholder("Ask a question")).not_to_be_attached()
        context.close()


def test_an_experiment_is_a_data_set(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(f"{server}/#/experiments")
    expect(page.get_by_text("RegDB (stand-in)").first).to_be_visible()


def test_its_description_leads_to_the_methods_best_mean_first(server: str, sent: dict[str, Any], page: Page) -> None:
    """On a server of anybody's, whose pages begin with no score."""
    page.goto(f"{server}/#/experiments/{sent['experiment']['id']}/runs")
    expect(page.get_by_role("columnheader", name="Run Name").first).to_be_visible()
    expect(page.get_by_role("columnheader", name="rank1_std")).not_to_be_attached()
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Methods, best mean first").click()
    table = opened.value
    for name in ("mAP", "mAP_std", "rank1", "rank1_std"):
        expect(table.get_by_role("columnheader", name=name, exact=True).first).to_be_attached()
    expect(table.get_by_text("Sort: rank1").first).to_be_visible()
    names = table.get_by_role("gridcell").get_by_role("link", name=re.compile("split|^agw$|^msclnet$"))
    expect(names).to_have_text(["msclnet", "agw"])
    expect(table.get_by_role("gridcell", name="61.5", exact=True)).to_be_visible()
    table.close()


def test_the_views_have_names(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(f"{server}/#/experiments/{sent['experiment']['id']}/runs")
    page.get_by_role("button", name="Views").click()
    for view in VIEWS:
        expect(page.get_by_text(view.name, exact=True).last).to_be_visible()


def test_the_charts_draw_the_mean_curves_of_all_methods(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(f"{server}/{CURVES.page(sent['experiment']['id'])}")
    expect(page.get_by_text("epoch/total", exact=True).first).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    for method in ("msclnet", "agw"):
        expect(page.get_by_text(f"{method} (epoch/total)").first).to_be_attached()


def test_a_methods_page_has_its_summary_parameters_and_tags(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(run_page(server, sent, "msclnet"))
    expect(page.get_by_text("Drawn stand-in: no result on the real set.").first).to_be_visible()
    expect(page.get_by_role("cell", name="61.5 (0.71)").first).to_be_visible()
    expect(page.get_by_role("cell", name="84.17").first).to_be_visible()
    expect(page.get_by_text("method.losses.div", exact=True).first).to_be_visible()
    expect(page.get_by_text("rank1_std", exact=True).first).to_be_visible()


def test_a_trainings_page_has_its_own_scores(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(run_page(server, sent, "msclnet split 1"))
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name="infrared-to-visible", exact=True)).first
    expect(row.get_by_role("cell", name="61.00", exact=True)).to_be_visible()
    expect(page.get_by_text("61.50")).not_to_be_attached()
    expect(page.get_by_text("One of the trainings of").get_by_role("link", name="msclnet")).to_be_visible()


def test_a_trainings_page_draws_a_curve_of_every_term(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(run_page(server, sent, "msclnet split 1", "/model-metrics"))
    for term in ("identity", "wrt", "total"):
        expect(page.get_by_text(f"epoch/{term}").first).to_be_attached()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()


def test_system_metrics_have_their_page(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(run_page(server, sent, "msclnet split 1", "/system-metrics"))
    expect(page.get_by_text("process_memory_peak_megabytes").first).to_be_attached()


def test_a_figure_is_shown_as_an_image(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(run_page(server, sent, "msclnet", "/artifacts/figures/regdb_cmc.png"))
    expect(page.get_by_text("figures/regdb_cmc.png").first).to_be_visible()
    page.wait_for_function("[...document.images].some(image => image.complete && image.naturalWidth > 1000)")


def test_methods_are_compared_under_the_same_metric_names(server: str, sent: dict[str, Any], page: Page) -> None:
    page.goto(f"{server}/#/experiments/{sent['experiment']['id']}/runs?compareRunsMode=CHART")
    for method in ("msclnet", "agw"):
        link = page.get_by_role("link", name=method, exact=True)
        page.get_by_role("gridcell").filter(has=link).get_by_role("button").first.click()
        expect(page.get_by_role("link", name=f"{method} split 1", exact=True)).to_be_visible()
    page.get_by_placeholder("Search metric charts").fill("epoch/total")
    expect(page.get_by_text("epoch/total", exact=True).first).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    for name in ("msclnet split 1", "agw split 1"):
        expect(page.get_by_text(f"{name} (epoch/total)").first).to_be_attached()


def test_the_chosen_model_is_found_by_its_alias(
    server: str, sent: dict[str, Any], page: Page, tmp_path: Path, default: settings.Config
) -> None:
    """Logged and registered through the server, which keeps the file."""
    for folder in sent["folders"]:
        job = settings.train_job(default, "regdb", folder.parent.name, int(folder.name.removeprefix("split")))
        save_model(folder / "model.pt", build_network(job, 4), settings.plain(job))
    record = tmp_path / "regdb.json"
    record.write_text(json.dumps({"runs": sent["runs"]}))
    register(server, Delivery(TrackedSet("regdb", "stand-in"), ["agw", "msclnet"], sent["folders"]), record)
    page.goto(f"{server}/#/models/msclnet-regdb")
    expect(page.get_by_text("chosen-by-test-stand-in").first).to_be_visible()
    page.goto(f"{server}/#/experiments/{sent['experiment']['id']}/models")
    expect(page.get_by_role("link", name=re.compile("^msclnet-regdb")).first).to_be_visible()
