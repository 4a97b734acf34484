"""What the measured speeds mean: how long a run of the recipe would take here, and whether the loader keeps up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msclnet.config import Config, splits
from msclnet.data.sampling import steps_per_epoch
from msclnet.datasets.table import SETS
from msclnet.doctor.line import Line, passed, warned

MARGIN = 2.0  # times as fast as a training that its loader should be
MONTH = 30 * 86400.0  # seconds: longer, and the line warns


def estimates(config: Config, speeds: Mapping[str, float], gpus: int) -> Iterator[Line]:
    """A line for each real set of the recipe's run.

    Args:
        config: the recipe.
        speeds: images a second, by method; one that was not measured is taken to be as fast as the slowest.
        gpus: how many there are; 0: one training at a time, on the CPU. Several that one training shares are taken to
            be as many times as fast; several trainings that share one, as fast together as one alone.
    """
    wanted = config.run.gpus_per_training
    each_has = wanted if isinstance(wanted, int) and 0 < wanted <= gpus else 1
    at_once = max(1, gpus // each_has)
    shared = config.run.trainings_per_gpu if gpus and each_has == 1 else 1
    for name in config.run.sets:
        data_set = SETS.get(name)
        if data_set.training_images is None:
            continue
        trainings = len(splits(config, name))
        images = trainings * config.data.of(name).epochs * seen(data_set.training_images, config)
        rounds = -(-trainings // at_once) / trainings / each_has  # of the trainings that follow one another
        slowest = min(speeds.values())
        each = {method: rounds * images / speeds.get(method, slowest) for method in config.run.methods}
        times = f" x {trainings}" if trainings > 1 else ""
        said = f"{', '.join(f'{method} {duration(seconds)}' for method, seconds in each.items())}"
        where = f"on {gpus} GPUs" if gpus > 1 else f"on one {'GPU' if gpus else 'CPU'}"
        where += f", {each_has} a training" if each_has > 1 else ""
        where += f", or less, as {shared} share a GPU" if shared > 1 and trainings > at_once else ""
        values = {"seconds": each, "images": images, "trainings": trainings}
        check = f"to train {data_set.title}{times}"
        if max(each.values()) > MONTH:
            yield warned(check, f"{said} {where}", "take a machine with a GPU, or several", **values)
        else:
            yield passed(check, f"{said} {where}", **values)


def kept_up(loader: Line, training: Line) -> Line:
    """The loader's line, beside the speed of the training that it feeds."""
    fed, wanted = (float(line.values["images_per_second"]) for line in (loader, training))
    said = f"{loader.found}: {fed / wanted:,.1f} times what the training takes"
    if fed < MARGIN * wanted:
        remedy = "put the packs on a local disk or into memory, and give each training more cores (train.threads)"
        return warned(loader.check, said, remedy, **loader.values)
    return passed(loader.check, said, **loader.values)


def seen(images: tuple[int, int], config: Config) -> int:
    """Images that an epoch of a training shows, of so many visible and infrared ones."""
    pairs = config.train.identities * config.train.images
    return 2 * pairs * steps_per_epoch(*images, pairs)


def duration(seconds: float) -> str:
    """A time as people say it: ``35 min``, ``4.2 h``, ``12 days``."""
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:,.0f} days"
