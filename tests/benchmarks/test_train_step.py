"""What the benchmark compares is the same training: same batches, same losses, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks import train_step as benchmark
from msclnet.config import Config, replace
from msclnet.core.errors import ConfigError
from msclnet.data.loader import TrainingImages
from msclnet.data.pack import Pack
from msclnet.losses import objective
from msclnet.training import trainer
from msclnet.training.process_group import Processes

STEPS = 2


def test_the_literal_loop_takes_the_same_steps(
    default: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With nothing left to chance in the augmentation; and each part of a step is timed in both."""
    recipe = replace(default.train, identities=4, images=2, padding=0, flip=0.0, warmup=0)
    methods = default.methods | {"msclnet": replace(default.methods["msclnet"], erasing=0.0)}
    config = replace(default, train=recipe, methods=methods)
    (job,) = benchmark.variants(config, ["msclnet float32"], threads=1).values()
    images = TrainingImages(Pack.open(benchmark.draw_pack(job, STEPS, tmp_path, 1)), trainer.recipe(job))
    alone = Processes(0, 1, torch.device("cpu"))
    values: dict[str, list[float]] = {}
    terms = objective.terms

    for name, epoch in {
        "literal": benchmark.literal(images, job, alone, workers=0),
        "ours": benchmark.ours(images, job, alone, tmp_path),
    }.items():

        def seen(*args, name=name):
            result = terms(*args)
            values.setdefault(name, []).extend(value.item() for value in result.values())
            return result

        monkeypatch.setattr(objective, "terms", seen)
        watch = benchmark.Stopwatch()
        with watch.running():
            epoch()
        ours_alone = {"augment", "gather"} if name == "literal" else set()
        assert set(watch.seconds) == {"loader", *benchmark.PHASES} - ours_alone
    assert len(values["ours"]) == STEPS * 10
    assert values["ours"] == pytest.approx(values["literal"], rel=1e-3, abs=1e-4)


def test_a_variant_is_compiled_and_captured_as_its_words_say(default: Config) -> None:
    captured = replace(default, train=replace(default.train, compile=True, capture=True))
    names = ["agw float32", "agw bfloat16 compiled", "agw bfloat16 captured"]
    recipes = [job.train for job in benchmark.variants(captured, names, threads=1).values()]
    assert [(recipe.compile, recipe.capture) for recipe in recipes] == [(False, False), (True, False), (True, True)]
    with pytest.raises(ConfigError, match="--variants 'agw float32 fast': expected 'METHOD precision', and then"):
        benchmark.variants(default, ["agw float32 fast"], threads=1)
