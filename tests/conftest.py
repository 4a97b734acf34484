"""What several rooms' tests start from."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from msclnet import config as settings

ROOT = Path(__file__).parents[1]
LISTS = os.environ.get("MSCLNET_REAL_LISTS", "")
# What `make test-fast` leaves out: folders, files and single tests. Of the fast ones together the processor has a
# minute's work; `slow` are tests that take seconds of it, most of them in processes of their own.
TIERS = {
    "workflow": ["tests/workflow", "tests/test_docs.py::test_the_picture_of_the_rules_is_the_codes"],
    "browser": ["tests/browser"],
    "cluster": ["tests/workflow/test_slurm.py"],
    "slow": [
        "tests/benchmarks",
        "tests/core/test_file_kind.py::test_a_program_is_called_what_it_is",
        "tests/core/test_workers.py",
        "tests/datasets/test_toy.py::test_from_drawn_people_to_scores",
        "tests/doctor",
        "tests/evaluation/test_foreign_features.py::test_two_halves_of_sysu_score_as_our_own_file_does",
        "tests/inference/test_demo.py",
        "tests/inference/test_export.py",
        "tests/launch/test_gpu_lease.py::test_a_job_of_two_processes_takes_both_devices_and_waits_for_them",
        "tests/launch/test_gpu_lease.py::test_a_job_on_the_cpu_sees_no_device_and_its_processes_divide_its_cores",
        "tests/launch/test_gpu_lease.py::test_jobs_that_do_not_know_each_other_never_share_a_device",
        "tests/launch/test_gpu_lease.py::test_ranks_that_outlive_a_killed_torchrun_keep_their_devices",
        "tests/launch/test_gpu_lease.py::test_a_leased_gpu_that_torch_does_not_see_ends_the_job",
        "tests/launch/test_gpu_lease.py::test_a_mutex_that_somebody_holds_is_not_waited_for_without_a_word",
        "tests/launch/test_elastic.py",
        "tests/launch/test_watchdog.py",
        "tests/losses/test_plugin.py",
        "tests/model/test_model.py::test_the_papers_configuration_steps_once_with_the_papers_shapes",
        "tests/model/test_importing.py",
        "tests/standin/test_drawing.py",
        "tests/report/test_curves.py::test_the_same_numbers_give_the_same_bytes",
        "tests/report/test_features.py::test_the_map_holds_all_images_of_the_identities_drawn",
        "tests/test_docs.py::test_examples_run",
        "tests/test_docs.py::test_the_site_builds_without_a_warning",
        "tests/test_docs.py::test_the_steps_to_a_new_loss_are_enough",
        "tests/test_envs.py::test_a_rules_script_imports_only_what_its_environment_holds",
        "tests/test_fuzz.py::test_a_damaged_file_of_weights_is_read_or_refused",
        "tests/test_imports.py::test_heavy_libraries_are_imported_late",
        "tests/test_imports.py::test_loading_a_model_pulls_in_no_training_and_no_losses_code",
        "tests/test_tiers.py::test_the_fast_tier_is_what_has_none_of_them",
        "tests/test_version.py::test_a_wheel_holds_every_file_of_the_package",
        "tests/tracking/test_experiments.py",
        "tests/tracking/test_postgresql.py",
        "tests/tracking/test_registry.py::test_one_split_of_each_method_is_registered_once_and_loads",
        "tests/tracking/test_registry.py::test_best_is_what_validation_chose_and_no_other",
        "tests/tracking/test_tracking.py",
        "tests/training/ddp",
        "tests/training/faults",
        "tests/training/test_fake_gpu.py",
        "tests/training/test_one_graph.py",
        "tests/training/test_trainer.py",
        "tests/training/test_validation.py",
    ],
}


def git(*words: str) -> list[str]:
    """The lines that git says of this checkout; where there is no git, or no checkout, the test is skipped."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs git, and a checkout of its own")
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


def tiers(test: str) -> set[str]:
    """The markers of a test, by its name as pytest prints it."""
    return {
        tier for tier, places in TIERS.items() if any(re.match(rf"{re.escape(p)}($|/|::|\[)", test) for p in places)
    }


@pytest.hookimpl(tryfirst=True)  # before -m chooses among them
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for tier in tiers(item.nodeid):
            item.add_marker(tier)


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """As in the trainings: the workers of a parallel test run share the cores, and sums keep their order."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def real_lists() -> Path:
    """A folder with the real sets' own lists: ``regdb/idx``, ``sysu/exp``, ``llcm/idx``. They may not be passed on."""
    if not LISTS:
        pytest.skip("MSCLNET_REAL_LISTS names no folder with the real sets' lists")
    return Path(LISTS)


@pytest.fixture
def tf32() -> Iterator[Callable[[], tuple[bool, bool]]]:
    """Allowed for products and convolutions, in the test; what is called says whether it is."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = True
    yield lambda: (products.allow_tf32, convolutions.allow_tf32)
    products.allow_tf32, convolutions.allow_tf32 = before


@pytest.fixture(scope="session")
def default() -> settings.Config:
    """The default configuration."""
    return settings.load(str(ROOT / "config/config.yaml"))


@pytest.fixture(scope="session")
def paper() -> settings.Config:
    """The paper's configuration, laid over the default as Snakemake lays it."""
    return settings.load(str(ROOT / "config/config.yaml"), str(ROOT / "config/paper.yaml"))
