"""The workflow really run, on the smallest configuration, and its tables recomputed from the stored features."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from playwright.sync_api import expect
from scipy.io import loadmat

from msclnet.launch.gpu_list import real
from tests.conftest import ROOT
from tests.patience import PATIENCE
from tests.servers import BROWSER, NO_BROWSER, chromium, visitor

TINY = ROOT / "tests/workflow/tiny.yaml"
SHOWN = ("cmc", "losses", "embedding", "distances", "ranked", "activation")
FIGURES = [*(f"{name}_{figure}" for name in ("regdb", "sysu") for figure in SHOWN), "sysu_cameras"]


def snakemake(
    folder: Path,
    *arguments: str,
    configs: tuple[Path, ...] = (TINY,),
    check: bool = True,
    environment: Mapping[str, str] | None = None,
) -> str:
    command = ["snakemake", "--directory", str(folder), "--configfile", *map(str, configs), "--cores", "2", *arguments]
    env = {**os.environ, **(environment or {})}
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=6 * PATIENCE)
    output = result.stdout + result.stderr
    if check:
        assert result.returncode == 0, output[-6000:]
    return output


def planned(output: str) -> Counter[str]:
    """The jobs of a dry run, by rule."""
    table = output.rsplit("Job stats:", 1)[-1] if "Job stats:" in output else ""
    counts = re.findall(r"^(\w+) +(\d+)$", table.split("total")[0], re.MULTILINE)
    return Counter({rule: int(count) for rule, count in counts})


def trained(output: str) -> list[tuple[str, str]]:
    """The data set and the method of each training of a dry run."""
    return re.findall(r"rule train:\n.*\n *output: results/trainings/(\w+)-(\w+)-split", output)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dag")
    snakemake(folder)
    return folder


def images_of(folder: Path, name: str) -> Path:
    """The drawn images of a data set."""
    (images,) = (folder / "data/stand-in").glob(f"{name}-*")
    return images


def changed(tmp_path: Path, text: str) -> tuple[Path, Path]:
    path = tmp_path / "changed.yaml"
    path.write_text(text)
    return (TINY, path)


def test_a_finished_dag_is_finished(done: Path) -> None:
    assert "Nothing to be done" in snakemake(done, "--dry-run")


def test_a_plots_setting_draws_plots_only(done: Path, tmp_path: Path) -> None:
    plan = planned(snakemake(done, "--dry-run", configs=changed(tmp_path, "figures: {ranks: 7}")))
    assert set(plan) == {"all", "plot_cmc", "track", "register"}
    output = snakemake(done, "--dry-run", configs=changed(tmp_path, "figures: {identities: 3}"))
    assert set(planned(output)) == {"all", "plot_embedding", "track", "register"}


def test_a_methods_weight_retrains_that_method_only(done: Path, tmp_path: Path) -> None:
    output = snakemake(done, "--dry-run", configs=changed(tmp_path, "methods: {msclnet: {losses: {div: 0.7}}}"))
    assert planned(output)["train"] == 5, "two RegDB splits, SYSU-MM01, and the untrained network of each"
    assert planned(output)["pack"] == planned(output)["stand_in"] == 0
    assert {method for _, method in trained(output)} == {"msclnet", "untrained"}


def test_the_papers_configuration_plans_ten_trainings_and_one_for_each_method(done: Path, tmp_path: Path) -> None:
    roots = {"data": {name: {"root": str(images_of(done, name))} for name in ("regdb", "sysu")}}
    (tmp_path / "roots.yaml").write_text(yaml.safe_dump(roots))
    output = snakemake(tmp_path / "new", "--dry-run", configs=(ROOT / "config/paper.yaml", tmp_path / "roots.yaml"))
    counts = {("regdb", "agw"): 10, ("regdb", "msclnet"): 10, ("sysu", "agw"): 1, ("sysu", "msclnet"): 1}
    assert Counter(trained(output)) == counts | {("regdb", "untrained"): 1, ("sysu", "untrained"): 1}
    assert "stand_in" not in planned(output)


def test_regdb_was_trained_by_two_processes(done: Path) -> None:
    start = json.loads((done / "results/regdb/msclnet/split2/metrics.jsonl").read_text().splitlines()[0])
    assert (start["kind"], start["processes"]) == ("start", 2)


def literal_scores(similarity: np.ndarray, query: tuple, gallery: tuple, *, sysu: bool) -> tuple[float, float, float]:
    """Rank-1, mAP and mINP in percent, a query at a time, by the protocol's text."""
    (q_ids, q_cams), (g_ids, g_cams) = query, gallery
    first, precision, penalty = [], [], []
    for i, values in enumerate(similarity):
        order = [j for j in np.argsort(-values, kind="stable") if not (sysu and q_cams[i] == 3 and g_cams[j] == 2)]
        hits = [position for position, j in enumerate(order, start=1) if g_ids[j] == q_ids[i]]
        if not hits:
            continue
        first.append(hits[0] == 1)
        precision.append(np.mean([k / position for k, position in enumerate(hits, start=1)]))
        penalty.append(len(hits) / hits[-1])
    return tuple(100 * float(np.mean(v)) for v in (first, precision, penalty))


def bounds(similarity: np.ndarray, query: tuple, gallery: tuple, *, sysu: bool) -> tuple[tuple[float, ...], ...]:
    """The least and the most that the scores can be: where a match ties, rounding decides who comes first."""
    match = 1e-6 * (query[0][:, None] == gallery[0][None, :])
    return tuple(literal_scores(similarity + sign * match, query, gallery, sysu=sysu) for sign in (-1, 1))


def stored(folder: Path, name: str) -> dict[str, np.ndarray]:
    with np.load(folder / "results" / name / "features.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("method", ["untrained", "base", "msclnet"])
def test_regdbs_table_is_what_the_stored_features_give(done: Path, method: str) -> None:
    for direction, (q, g) in {"visible-to-infrared": (0, 1), "infrared-to-visible": (1, 0)}.items():
        scores = []
        for split in (1, 2):
            f = stored(done, f"regdb/{method}/split{split}")
            query, gallery = f["modality"] == q, f["modality"] == g
            similarity = f["bn"][query] @ f["bn"][gallery].T
            sides = [(f["identities"][side], f["cameras"][side]) for side in (query, gallery)]
            scores.append(bounds(similarity, *sides, sysu=False))
        (row,) = [
            row
            for row in rows(done / "results/regdb_summary.csv")
            if (row["method"], row["feature"], row["direction"]) == (method, "bn", direction)
        ]
        assert (row["data"], row["trials"]) == ("stand-in", "2")
        for number, name in enumerate(("rank1", "mAP", "mINP")):
            values = np.array(scores)[:, :, number]  # a row a split
            least, most = values.mean(0)
            assert least - 0.0051 <= float(row[name]) <= most + 0.0051, (method, direction, name)
            spread, slack = values.std(0, ddof=1).mean(), np.ptp(values, axis=1).max()
            assert float(row[f"{name}_std"]) == pytest.approx(spread, abs=0.0051 + slack)


@pytest.mark.parametrize(("mode", "cameras"), [("all", (1, 2, 4, 5)), ("indoor", (1, 2))])
@pytest.mark.parametrize("shots", [1, 10])
def test_sysus_table_is_what_the_stored_features_give(done: Path, mode: str, cameras: tuple, shots: int) -> None:
    f = stored(done, "sysu/msclnet/split1")
    query = np.flatnonzero(f["modality"] == 1)
    scores = []
    for draw in range(3):
        rng, gallery = random.Random(draw), []
        for identity in sorted(set(f["identities"])):
            for camera in cameras:
                mine = (f["identities"] == identity) & (f["cameras"] == camera)
                files = sorted(f["paths"][mine])
                if files:
                    gallery += [rng.choice(files)] if shots == 1 else rng.sample(files, min(10, len(files)))
        chosen = np.array([np.flatnonzero(f["paths"] == path)[0] for path in gallery])
        sides = [(f["identities"][side], f["cameras"][side]) for side in (query, chosen)]
        scores.append(bounds(f["bn"][query] @ f["bn"][chosen].T, *sides, sysu=True))
    (row,) = [
        row
        for row in rows(done / "results/sysu_summary.csv")
        if (row["method"], row["feature"], row["mode"], row["shots"]) == ("msclnet", "bn", mode, str(shots))
    ]
    assert (row["data"], row["trials"], row["protocol"]) == ("stand-in", "3", "community")
    for number, name in enumerate(("rank1", "mAP", "mINP")):
        least, most = np.array(scores)[:, :, number].mean(0)
        assert least - 0.0051 <= float(row[name]) <= most + 0.0051, name


def test_the_columns_are_those_promised(done: Path) -> None:
    promised = "trials, rank1, rank1_std, rank5, rank10, rank20, mAP, mAP_std, mINP, mINP_std, paper_rank1, paper_mAP"
    how = ["data", "method", "feature", "flip", "rerank", "protocol"]
    for name, keys in {"regdb": ["direction"], "sysu": ["mode", "shots"]}.items():
        header = list(rows(done / f"results/{name}_summary.csv")[0])
        promised_here = [*how, *keys, *promised.split(", ")]
        assert [column for column in header if column in promised_here] == promised_here
        assert len(rows(done / f"results/{name}_trials.csv")) > len(rows(done / f"results/{name}_summary.csv"))


def test_llcm_the_official_draws_flip_averaging_and_reranking(done: Path, tmp_path: Path) -> None:
    images = images_of(done, "sysu").relative_to(done)
    shutil.copytree(done / images, tmp_path / images)
    settings = changed(tmp_path, "evaluate: {flip: true, rerank: true, sysu: {protocol: official}}")
    targets = [f"results/{name}/untrained/split1/scores.json" for name in ("llcm", "sysu")]
    snakemake(tmp_path, *targets, configs=settings)
    llcm, sysu = (json.loads((tmp_path / target).read_text())["rows"] for target in targets)
    assert {(row["flip"], row["rerank"]) for row in llcm + sysu} == {("yes", "yes")}
    assert {row["protocol"] for row in sysu} == {"official"}
    directions = {(row["direction"], row["draw"]) for row in llcm}
    assert directions == {(d, n) for d in ("visible-to-infrared", "infrared-to-visible") for n in range(3)}
    cells = loadmat(tmp_path / images / "exp/rand_perm_cam.mat")["rand_perm_cam"].ravel()
    tested = [int(word) for word in (tmp_path / images / "exp/test_id.txt").read_text().split(",")]
    images = {c: sum(min(10, cells[c - 1].ravel()[i - 1].shape[1]) for i in tested) for c in (1, 2, 4, 5)}
    gallery = {(row["mode"], row["gallery"]) for row in sysu if row["shots"] == 10}
    assert gallery == {("all", sum(images.values())), ("indoor", images[1] + images[2])}


def test_a_second_run_gives_the_same_tables_byte_for_byte(done: Path, tmp_path: Path) -> None:
    """From the data on: trained, embedded, scored and aggregated again, one job at a time."""
    shutil.copytree(done / "data", tmp_path / "data")
    targets = ["results/regdb_summary.csv", "results/sysu_trials.csv"]
    snakemake(tmp_path, "--cores", "1", *targets)
    for target in targets:
        assert (tmp_path / target).read_bytes() == (done / target).read_bytes()


def test_with_two_gpus_two_trainings_run_at_a_time_each_on_its_own(done: Path, tmp_path: Path) -> None:
    """And the cores, more than two trainings need, are no reason to run a third. A rehearsal, on the CPU."""
    if real({"MSCLNET_GPUS": "2"}):
        pytest.skip("needs a machine without a GPU: where there are some, those that are declared must be among them")
    shutil.copytree(done / "data", tmp_path / "data")
    configs = changed(tmp_path, "data: {regdb: {processes: auto}}")
    folders = [f"results/regdb/{method}/split{split}" for method in ("base", "msclnet") for split in (1, 2)]
    targets = [f"{folder}/model.pt" for folder in folders]
    gpus = {"MSCLNET_GPUS": "2", "MSCLNET_LEASES": str(tmp_path / "leases")}
    snakemake(tmp_path, "--cores", "4", *targets, configs=configs, environment=gpus)
    trainings = []
    for folder in folders:
        began, *_, ended = map(json.loads, (tmp_path / folder / "metrics.jsonl").read_text().splitlines())
        (log,) = (tmp_path / "results/logs").glob(f"train_{folder.removeprefix('results/').replace('/', '-')}-*.log")
        trainings.append(
            (began["time"], ended["time"], re.search(r"on the GPUs (.*)", log.read_text())[1], began["processes"])
        )
    assert {(gpu, processes) for _, _, gpu, processes in trainings} == {("0", 1), ("1", 1)}
    for began, _, gpu, _ in trainings:
        running = [other for other in trainings if other[0] <= began < other[1]]
        assert len(running) <= 2
        assert [other[2] for other in running].count(gpu) == 1


def test_cores_are_shared_so_that_no_gpu_is_idle(tmp_path: Path) -> None:
    """A training of four threads takes two of four cores where two GPUs wait; of `processes`, each has a GPU."""
    configs = changed(tmp_path, "{train: {threads: 4}, data: {regdb: {processes: auto}, sysu: {processes: 2}}}")

    def asked(gpus: str, target: str) -> str:
        output = snakemake(
            tmp_path / "run", "--cores", "4", "--dry-run", target, configs=configs, environment={"MSCLNET_GPUS": gpus}
        )
        return re.search(r"rule train:(?:\n +.*)+", output)[0]

    regdb, sysu = "results/regdb/base/split1/model.pt", "results/sysu/base/split1/model.pt"
    assert re.search(r"threads: 2\n.*device=gpu, processes=1, anew=0, gpu=1,", asked("2", regdb))
    assert re.search(r"threads: 4\n.*device=gpu, processes=2, anew=0, gpu=2,", asked("2", sysu))
    assert re.search(r"threads: 4\n.*device=cpu, processes=1, anew=0, gpu=0,", asked("0", regdb))
    assert "device=cpu, processes=2, anew=0, gpu=0," in asked("1", sysu), "one GPU is not shared by two processes"


def test_more_gpus_than_the_machine_has_are_refused_and_too_few_are_announced(tmp_path: Path) -> None:
    many = changed(tmp_path, "{run: {gpus_per_training: 4}, data: {regdb: {processes: auto}}, train: {images: 8}}")
    gpus = {"CUDA_VISIBLE_DEVICES": "0,1"}
    output = snakemake(tmp_path / "run", "--dry-run", configs=many, environment=gpus, check=False)
    assert "run.gpus_per_training: 4, and this machine has 2 GPUs to use (CUDA_VISIBLE_DEVICES=0,1)" in output
    output = snakemake(tmp_path / "run", "--dry-run", environment={"CUDA_VISIBLE_DEVICES": "1"})
    assert "data.regdb.processes: 2 processes and 1 GPUs on this machine: they run on the CPU" in output


def test_a_job_of_a_cluster_asks_for_what_was_planned_whatever_its_node_has(tmp_path: Path) -> None:
    """A job's own Snakemake reads the rules anew, on a node with half of the training's eight GPUs."""
    text = (
        "{run: {gpus_per_training: 8, nodes_per_training: 2}, data: {regdb: {processes: auto}, sysu: {processes: 2}}, "
        "train: {images: 8}}"
    )
    arguments = ("--mode", "remote", "--cores", "4", "--dry-run", "results/regdb/base/split1/model.pt")
    gpus = {"MSCLNET_GPUS": "4"}
    output = snakemake(tmp_path / "run", *arguments, configs=changed(tmp_path, text), environment=gpus)
    asked = re.search(r"rule train:(?:\n +.*)+", output)[0]
    assert "threads: 4" in asked
    assert "device=gpu, processes=8, anew=0, gpu=0, gres=gpu:4, nodes=2, mpi=srun, tasks=2, tasks_per_gpu=0" in asked


def test_table_1_trains_its_fifteen_rows_once_a_seed(done: Path, tmp_path: Path) -> None:
    two = changed(tmp_path, "studies: {ablation: {seeds: [0, 1]}}")
    plan = planned(snakemake(done, "--dry-run", "results/ablation.csv", configs=two))
    assert (plan["train"], plan["score_ablation"], plan["study"], plan["pack"]) == (30, 15, 1, 0)


def test_figure_6_is_really_run(done: Path) -> None:
    """Each lambda left out, and the complete method: five trainings, their table and figure."""
    snakemake(done, "results/sensitivity.csv", "results/figures/sensitivity.svg")
    table = rows(done / "results/sensitivity.csv")
    assert [(row["key"], row["configured"]) for row in table] == [
        (term, configured) for term in ("div", "t", "local", "global") for configured in ("0", "1")
    ]
    assert {row["data"] for row in table} == {"stand-in"}
    assert len({row["rank1"] for row in table if row["configured"] == "1"}) == 1
    (configuration,) = (done / "results/trainings").glob("sysu-studies-t=0-seed0-split1-*/config.yaml")
    job = yaml.safe_load(configuration.read_text())
    assert ("t" in job["method"]["losses"], job["method"]["losses"]["global"], job["seed"]) == (False, 1.5, 0)
    scores = json.loads((done / "results/sysu/studies/sensitivity/t=0/seed0/split1/scores.json").read_text())["rows"]
    headline = {"feature": "bn", "mode": "all", "shots": 1}
    mean = np.mean([row["rank1"] for row in scores if headline.items() <= row.items()])
    assert float(next(row["rank1"] for row in table if row["key"] == "t" and row["value"] == "0")) == pytest.approx(
        mean, abs=0.0051
    )
    assert "Nothing to be done" in snakemake(done, "--dry-run", "results/sensitivity.csv")


def test_tracking_mirrors_every_training(done: Path) -> None:
    for name, count in {"regdb": 4, "sysu": 2}.items():
        record = json.loads((done / f"results/tracking/{name}.json").read_text())
        assert (
            len([run for run in record["runs"] if run["split"] is not None and run["method"] != "untrained"]) == count
        )


def test_the_report_holds_tables_and_figures(done: Path) -> None:
    snakemake(done, "--report", "results/report.html")
    text = (done / "results/report.html").read_text()
    for name in ("regdb_summary.html", "sysu_summary.html", *(f"{figure}.html" for figure in FIGURES)):
        assert name in text
    fetched = re.findall(r"""(?:src|href)=["'](?:https?:)?//[^"']+|@import url\(|import\(["']https?:""", text)
    assert not fetched, "the page needs no network"
    assert "**Drawn stand-in images.**" not in text, "captions are rendered"
    assert "Drawn stand-in images." in text


@pytest.mark.skipif(BROWSER is None, reason=NO_BROWSER)
def test_the_report_shows_the_summary_beside_the_papers_numbers_without_a_network(done: Path) -> None:
    snakemake(done, "--report", "results/report.html")
    with chromium() as browser:
        page = visitor(browser, offline=True).new_page()
        page.goto((done / "results/report.html").as_uri())
        page.get_by_text("Tables", exact=True).first.click()
        page.get_by_role("row", name=re.compile(r"regdb\s+summary$")).get_by_role("link").first.click()
        shown = page.frame_locator("iframe")
        expect(shown.get_by_role("heading", name="RegDB (stand-in): summary")).to_be_visible()
        expect(shown.get_by_role("cell", name="84.17").first).to_be_visible()
        expect(shown.get_by_role("heading", name="In print, on the real RegDB")).to_be_visible()
        rank1 = next(row["rank1"] for row in rows(done / "results/regdb_summary.csv") if row["method"] == "msclnet")
        expect(shown.get_by_role("cell", name=re.compile(rf"^{rank1} ")).first).to_be_visible()


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_has_its_numbers_and_its_picture_beside_it(done: Path, figure: str) -> None:
    folder = done / "results/figures"
    assert len(rows(folder / f"{figure}.csv")) > 3
    assert (folder / f"{figure}.svg").read_text().startswith("<?xml")
    assert (folder / f"{figure}.png").read_bytes().startswith(b"\x89PNG")


def test_both_directions_have_their_ranked_lists(done: Path) -> None:
    table = rows(done / "results/figures/regdb_ranked.csv")
    assert {(row["setting"], row["group"]) for row in table if row["method"] == "msclnet"} == {
        (direction, group)
        for direction in ("visible-to-infrared", "infrared-to-visible")
        for group in ("best", "worst", "random")
    }


def test_the_registered_model_is_loaded_as_the_docs_say(done: Path) -> None:
    """This run's images are smaller than the default's."""
    page = (ROOT / "docs/how-to/tracking.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    code = block.replace("72, 36", "48, 24") + "print(features.shape)"
    result = subprocess.run([sys.executable, "-c", code], cwd=done, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith("(2, 2, 128)\n")


def test_the_models_are_registered_under_what_they_are(done: Path) -> None:
    for name in ("regdb", "sysu"):
        record = json.loads((done / f"results/tracking/{name}_models.json").read_text())
        assert record["model"] == f"msclnet-{name}"
        assert [row["method"] for row in record["versions"]] == ["base", "msclnet"]
        assert sum("chosen-by-test-stand-in" in row["aliases"] for row in record["versions"]) == 1


def test_bad_input_ends_with_a_message_that_names_it(tmp_path: Path) -> None:
    absent = changed(tmp_path, "data: {regdb: {root: /nowhere/RegDB}}")
    output = snakemake(tmp_path / "run", "results/regdb/data.json", configs=absent, check=False)
    assert "/nowhere/RegDB" in output
    assert "data.regdb.root" in output
    assert "Traceback" not in output
    unknown = changed(tmp_path, "train: {idenities: 3}")
    output = snakemake(tmp_path / "run", "--dry-run", configs=unknown, check=False)
    assert "train.idenities: unknown key; did you mean 'identities'" in output
    twice = changed(tmp_path, "run: {name: mine}\nrun: {sets: [regdb]}")
    output = snakemake(tmp_path / "run", "--dry-run", configs=twice, check=False)
    assert "the key 'run' stands twice, first in line 1: join the two" in output


def test_more_threads_than_cores_are_said(tmp_path: Path) -> None:
    few = changed(tmp_path, "train: {threads: 2}")
    said = "data.regdb.processes x train.threads: 4 threads, and this run has 2 cores for them to take turns on"
    assert said in snakemake(tmp_path / "run", "--dry-run", configs=few)
    assert "to take turns on" not in snakemake(tmp_path / "run", "--dry-run")


def test_the_workflow_is_clean() -> None:
    assert (
        subprocess.run(["snakefmt", "--check", "Snakefile", "workflow"], cwd=ROOT, capture_output=True).returncode == 0
    )
    lint = subprocess.run(["snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert lint.returncode == 0, lint.stdout + lint.stderr


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "workflow/scripts").glob("*.py")))
def test_a_script_explains_itself(script: str) -> None:
    result = subprocess.run(
        ["python", str(ROOT / "workflow/scripts" / script), "--help"], capture_output=True, text=True, check=True
    )
    assert result.stdout.startswith("usage: ")
