"""What experiments share: stand-ins, packs and trainings, each in a folder named for all that decides it.

Two experiments that want the same thing find the same folder; another wish is another folder, so that nothing finished
is overwritten. All paths are from the working directory, with forward slashes.
"""

from __future__ import annotations

from msclnet.config import Config, TrainJob, plain
from msclnet.datasets.dataset import STAND_IN
from msclnet.datasets.table import SETS
from msclnet.results.layout import TRAININGS, digest


def is_drawn(config: Config, name: str) -> bool:
    """Whether the images of the data set ``name`` are drawn people."""
    return config.data.of(name).root == STAND_IN


def stand_in(config: Config, name: str) -> str:
    """The folder of a data set's drawn images."""
    decisive = {"seed": config.stand_in.seed, **plain(config.stand_in.of(name))}
    return f"data/stand-in/{name}-{digest(decisive)}"


def root(config: Config, name: str) -> str:
    """The folder of a data set's images: the user's, or the drawn stand-in's."""
    return stand_in(config, name) if is_drawn(config, name) else config.data.of(name).root


def held_to_the_real(config: Config, name: str) -> bool:
    """Whether the counts are to be the real set's: also those of a stand-in drawn like it."""
    return not is_drawn(config, name) or bool(config.stand_in.of(name).like)


def pack(config: Config, name: str) -> str:
    """The folder of a data set's decoded images, of all its splits: few and many then share each training."""
    decisive = {
        "root": root(config, name),
        "splits": SETS.get(name).every_split,
        "real": held_to_the_real(config, name),
        "height": config.data.height,
        "width": config.data.width,
        "on_bad_image": config.data.on_bad_image,
    }
    if config.data.deep_range:  # a pack of before keeps its name
        decisive["deep_range"] = list(config.data.deep_range)
    return f"data/packs/{name}-{digest(decisive)}"


def training(config: Config, job: TrainJob) -> str:
    """The folder of one training."""
    decisive = {"job": plain(job), "pack": pack(config, job.set)}
    label = job.method_name.replace("/", "-")
    return f"{TRAININGS}/{job.set}-{label}-split{job.split}-{digest(decisive)}"
