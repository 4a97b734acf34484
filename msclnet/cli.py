"""The command ``msclnet``: what is used outside the workflow."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from importlib import metadata
from typing import Any, NoReturn

from msclnet.core.command import BlackToWhite, output, output_folder, source, status, whole
from msclnet.core.errors import printable
from msclnet.examples import EXAMPLES

SET = "the data set's name, as under `data` in the configuration"
Commands = argparse._SubParsersAction
SHELLS = ("bash", "zsh", "tcsh")
HEADING = "examples:"
REPLACED = {"import-agw": "msclnet import FILE --out MODEL"}  # commands that were, and what does their work


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit status: 0, or 1 with a message for what the user can mend."""
    parser = _Parser(
        prog="msclnet",
        description="Visible-infrared person re-identification: what is used outside the workflow.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _doctor(commands)
    _check_data(commands)
    _export_npy(commands)
    _evaluate(commands)
    _import(commands)
    _search(commands)
    _demo(commands)
    _export(commands)
    _info(commands)
    _completion(commands, parser)

    def run() -> int:
        given = sys.argv[1:] if arguments is None else arguments
        if given and not given[0].startswith("-") and given[0] not in commands.choices:
            parser.error(_no_command(given[0], commands.choices))
        args = parser.parse_args(arguments)
        return args.run(args)

    return status(run)


class _Help(argparse.HelpFormatter):
    """Leaves examples as they are written."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(HEADING) else super()._fill_text(text, width, indent)


class _Parser(argparse.ArgumentParser):
    """Of ``msclnet`` and its commands; what a stranger wrote on the command line moves no cursor."""

    def __init__(self, **how: Any) -> None:
        examples = EXAMPLES[how["prog"].removeprefix("msclnet").strip()]
        epilog = "\n".join([HEADING, *(f"  {line}" for line in examples)])
        super().__init__(**how, epilog=epilog, formatter_class=_Help)

    def error(self, message: str) -> NoReturn:
        super().error(printable(message))


def _no_command(word: str, names: Iterable[str]) -> str:
    if word in REPLACED:
        return f"{word!r} is no command any more; type {REPLACED[word]}"
    near = get_close_matches(word, names, n=3, cutoff=0.5)
    meant = f"did you mean {' or '.join(near)}?" if near else f"expected {', '.join(names)}"
    return f"{word!r} is no command; {meant}"


class _Version(argparse.Action):
    """Prints the installed package's version: looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        try:
            print(f"msclnet {metadata.version('msclnet')}")
        except metadata.PackageNotFoundError:
            parser.exit(1, "error: msclnet: no version: the package is not installed; run pip install -e . first\n")
        parser.exit()


def _doctor(commands: Commands) -> None:
    parser = commands.add_parser(
        "doctor",
        help="check that this machine trains correctly, and say how fast",
        description="Looks at torch, driver, GPUs, memory, disk and file locks. Takes a step of each method in each "
        "precision, by one process and by several, kills a training and goes on with it, and times trainings, all on "
        "drawn people. Prints a line each, and writes them to a JSON file. Exits 1 if any fails.",
    )
    parser.add_argument("--quick", action="store_true", help="the machine and the steps alone")
    parser.add_argument("--gpus", type=whole(0), help="how many to use; 0: the CPU (default: all that are visible)")
    parser.add_argument(
        "--processes", type=whole(1), help="the most that share a step (default: one a GPU, 2 on the CPU)"
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        nargs="+",
        help="laid over the default configuration: the recipe that is timed, and whose trainings' time is estimated "
        "(default: config/paper.yaml)",
    )
    parser.add_argument(
        "--folder", metavar="DIR", type=output_folder, help="where its temporary files lie (default: TMPDIR)"
    )
    parser.add_argument(
        "--json", metavar="FILE", type=output, default="doctor.json", help="the file to write (default: doctor.json)"
    )
    parser.add_argument(
        "--patience", type=_factor, default=1.0, help="how many times its usual limit a check may take (default: 1)"
    )

    def run(args: argparse.Namespace) -> int:
        from msclnet.doctor.examination import Options, doctor
        from msclnet.doctor.place import PAPER

        gpus = -1 if args.gpus is None else args.gpus
        recipe = tuple(args.config or [PAPER])
        return doctor(args.json, Options(args.quick, gpus, args.processes, args.folder, recipe, args.patience))

    parser.set_defaults(run=run)


def _check_data(commands: Commands) -> None:
    parser = commands.add_parser(
        "check-data",
        help="check a data set: its files, names and counts",
        description="Prints what is found in a data set's folder beside the real set's numbers, and lists what is "
        "wrong and what to do. Exits 1 if anything is wrong.",
    )
    parser.add_argument("set", metavar="SET", help=SET)
    parser.add_argument("root", metavar="ROOT", type=source, help="the set's folder")
    parser.add_argument(
        "--splits", type=whole(1), nargs="+", default=[], help="of a set that has several (default: all)"
    )
    parser.add_argument("--any-size", action="store_true", help="the numbers need not be the real set's: a stand-in")
    parser.add_argument("--thorough", action="store_true", help="read every image, too, as packing will; minutes")
    _deep_range(parser)
    parser.add_argument("--workers", type=whole(1), default=os.cpu_count() or 1, help="processes (default: all cores)")

    def run(args: argparse.Namespace) -> int:
        from msclnet.data.check import with_files
        from msclnet.datasets.table import SETS

        data_set = SETS.get(args.set)
        found = data_set.survey(args.root, data_set.require_splits(args.splits), real=not args.any_size)
        found = with_files(found, args.root, thorough=args.thorough, workers=args.workers, deep_range=args.deep_range)
        print(printable(str(found)))
        return 1 if found.problems else 0

    parser.set_defaults(run=run)


def _export_npy(commands: Commands) -> None:
    parser = commands.add_parser(
        "export-npy",
        help="write the arrays that other training code reads",
        description="Writes train_{rgb,ir}_resized_{img,label,cam}.npy of a data set's training images, as the field's "
        "preprocessing scripts do.",
    )
    parser.add_argument("set", metavar="SET", help=SET)
    parser.add_argument("root", metavar="ROOT", type=source, help="the set's folder")
    parser.add_argument("out", metavar="OUT", type=output_folder, help="the folder to write")
    _deep_range(parser)
    parser.add_argument(
        "--split", type=whole(1), help="whose training images, where there are several (default: the one)"
    )
    parser.add_argument("--height", type=whole(1), default=288, help="pixels (default: 288)")
    parser.add_argument("--width", type=whole(1), default=144, help="pixels (default: 144)")
    parser.add_argument("--workers", type=whole(1), default=os.cpu_count() or 1, help="processes (default: all cores)")
    parser.add_argument("--any-size", action="store_true", help="the numbers need not be the real set's: a stand-in")

    def run(args: argparse.Namespace) -> int:
        from msclnet.data.export_npy import export_npy
        from msclnet.datasets.table import SETS

        how: dict[str, Any] = {"split": args.split, "real": not args.any_size, "deep_range": args.deep_range}
        where = SETS.get(args.set), args.root, args.out
        images = export_npy(*where, args.height, args.width, args.workers, **how)
        print(f"{args.out}: " + ", ".join(f"{count:,} {name}" for name, count in images.items()))
        return 0

    parser.set_defaults(run=run)


def _evaluate(commands: Commands) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="score the features of any model by a data set's protocol",
        description="Scores stored features, compared by cosine. FILE is an .npz of features [N, D], identities, "
        "cameras, modality (0 visible, 1 infrared) and paths, each [N]; a features.npz of this project; a .mat, an "
        ".npz or a folder of .npy with query_f, query_label, query_cam, gallery_f, gallery_label and gallery_cam, as "
        "other projects write them; or NAME.npy with NAME_label.npy, NAME_cam.npy and NAME_modality.npy beside it.",
    )
    parser.add_argument("--features", metavar="FILE", required=True, type=source, help="see above")
    parser.add_argument("--data", metavar="SET", required=True, help=f"whose protocol: {SET}")
    parser.add_argument("--feature", choices=("bn", "pooled"), default="bn", help="of a features.npz (default: bn)")
    chosen = parser.add_argument_group("the comparison", "Each where the set's protocol has it; another is refused.")
    chosen.add_argument("--direction", help="visible-to-infrared or infrared-to-visible: the query first")
    chosen.add_argument("--mode", help="which cameras are searched: all or indoor (default: all)")
    chosen.add_argument(
        "--shots", type=whole(1), help="gallery images of each identity and camera: 1 or 10 (default: 1)"
    )
    chosen.add_argument("--protocol", help="how galleries are drawn: community or official (default: community)")
    chosen.add_argument("--permutations", metavar="FILE", type=source, help="the set's own draws, for the official way")
    chosen.add_argument("--draws", type=whole(1), help="galleries that are drawn (default: 10)")
    chosen.add_argument(
        "--setting", metavar="NAME=VALUE", nargs="+", default=[], type=_setting, help="any other of the set's settings"
    )
    parser.add_argument("--rerank", action="store_true", help="k-reciprocal re-ranking")
    parser.add_argument("--json", action="store_true", help="print JSON with every draw")

    def run(args: argparse.Namespace) -> int:
        from msclnet.datasets.table import SETS
        from msclnet.evaluation.foreign_features import load_features_of
        from msclnet.evaluation.scoring import evaluate, readable, require_settings, unlike_the_real

        names = ("direction", "mode", "shots", "protocol", "permutations", "draws")
        given = {name: getattr(args, name) for name in names if getattr(args, name) is not None} | dict(args.setting)
        data_set = SETS.get(args.data)
        require_settings(data_set, given)
        arrays: dict[str, Any] = {**load_features_of(args.features, data_set, args.direction, args.feature)}
        found = evaluate(**arrays, data=args.data, rerank=args.rerank, **given)
        print(json.dumps(found, indent=2) if args.json else printable(readable(found)))
        if unlike := unlike_the_real(found):
            print(f"note: {unlike}", file=sys.stderr)
        return 0

    parser.set_defaults(run=run)


def _import(commands: Commands) -> None:
    parser = commands.add_parser(
        "import",
        help="read a checkpoint of other people's code",
        description="Reads a checkpoint that the public code of AGW, CAJ, ADCA or DART wrote, and writes it as a "
        "model.pt of this project, with the same features. Whose it is is told by its keys, and what it does not say "
        "is said on stderr. Nothing in the file is executed.",
    )
    parser.add_argument(
        "file", metavar="FILE", type=source, help="the checkpoint, e.g. <set>_agw_p4_n8_lr_0.1_seed_0_best.t"
    )
    parser.add_argument("--out", metavar="MODEL", required=True, type=output, help="the model.pt to write")
    parser.add_argument(
        "--pooling",
        choices=("average", "gem"),
        help="of the network, which the file does not say (default: what its code has for a network of its layers)",
    )
    for option in ("--height", "--width"):
        parser.add_argument(
            option,
            metavar="PIXELS",
            type=whole(1),
            help="of the images it was trained on, which the file does not say (default: that code's own)",
        )

    def run(args: argparse.Namespace) -> int:
        from msclnet.model.importing import import_checkpoint

        network, origin, notes = import_checkpoint(args.file, args.out, args.pooling, args.height, args.width)
        for note in notes:
            print(printable(f"note: {args.file}: {note}"), file=sys.stderr)
        blocks = {"none": "no non-local blocks", "one": "non-local blocks of 1 channel"}
        height, width = network.image_size or origin.image_size
        told = "" if args.height or args.width else " by that code's default"
        parts = (
            f"from a checkpoint of {origin.title}",
            network.architecture.backbone,
            blocks.get(network.architecture.non_local, "non-local blocks of C/2 channels"),
            {"gem": "GeM pooling", "average": "average pooling"}[network.architecture.pooling],
            f"{network.identities} training identities" if network.identities else "no classifier",
            f"images of {height} x {width} pixels{told}",
        )
        print(printable(f"{args.out}: {', '.join(parts)}"))
        return 0

    parser.set_defaults(run=run)


def _search(commands: Commands) -> None:
    search = commands.add_parser(
        "search",
        help="find the person of some images in a folder of images",
        description="Embeds a folder of images (once: what has not changed comes from a cache), and prints for each "
        "query the nearest images of the other modality, best first, with their cosines. The modality of an image is "
        "the one stated, else the one a folder on its path is named for (visible, rgb, infrared, thermal, nir, cam3, "
        "...), else the one its colours show; what that left uncertain is said.",
    )
    search.add_argument("--model", required=True, type=source, help="model.pt of a training, or of an import")
    search.add_argument(
        "--gallery", metavar="DIR", required=True, type=source, help="the folder of images, at any depth"
    )
    search.add_argument(
        "--query", metavar="IMG", required=True, nargs="+", type=source, help="the images to look for, or folders"
    )
    search.add_argument("--top", type=whole(1), default=10, help="images to find for each query (default: 10)")
    search.add_argument("--out", metavar="PAGE", type=output, help="an HTML page to write, with thumbnails")
    modalities = ("visible", "infrared")
    search.add_argument("--gallery-modality", choices=modalities, help="of all its images (default: each as found)")
    search.add_argument("--query-modality", choices=modalities, help="of all queries (default: each as found)")
    search.add_argument(
        "--among",
        choices=("other", *modalities),
        default="other",
        help="which images of the gallery to search: those of the modality the query is not of (default), or of one",
    )
    search.add_argument(
        "--method",
        choices=("auto", "exact", "index"),
        default="auto",
        help="compare with every image, or use an index, which is fast and may miss some; auto (default): exact below "
        "1,000,000 images",
    )
    search.add_argument(
        "--cache", metavar="DIR", type=output_folder, help="where features are kept (default: ~/.cache/msclnet)"
    )
    _deep_range(search)

    def run(args: argparse.Namespace) -> int:
        from msclnet.inference.search import search

        how = (args.gallery_modality, args.query_modality, args.among, args.method, args.cache, args.out)
        search(args.model, args.gallery, args.query, args.top, *how, args.deep_range)
        return 0

    search.set_defaults(run=run)


def _demo(commands: Commands) -> None:
    demo = commands.add_parser(
        "demo",
        help="open a page on this machine where a photograph is dropped and its matches are seen",
        description="Embeds a folder of images, and serves a page to drop a photograph on: it shows which modality the "
        "photograph was taken for, and its nearest images of the other modality. The page is for this machine alone.",
    )
    demo.add_argument("--model", required=True, type=source, help="model.pt of a training, or of an import")
    demo.add_argument("--gallery", metavar="DIR", required=True, type=source, help="the folder of images, at any depth")
    demo.add_argument("--port", type=whole(0, 65535), default=7860, help="default: 7860; 0 for any that is free")
    modalities = ("visible", "infrared")
    demo.add_argument("--gallery-modality", choices=modalities, help="of all its images (default: each as found)")
    demo.add_argument(
        "--cache", metavar="DIR", type=output_folder, help="where features are kept (default: ~/.cache/msclnet)"
    )
    _deep_range(demo)

    def run(args: argparse.Namespace) -> int:
        from msclnet.inference.demo import demo

        demo(args.model, args.gallery, args.port, args.gallery_modality, args.cache, args.deep_range)
        return 0

    demo.set_defaults(run=run)


def _export(commands: Commands) -> None:
    export = commands.add_parser(
        "export",
        help="write a model for other runtimes, verified, with a model card",
        description="Writes a model as one file for both modalities, compares its features with the original's, and "
        "writes a model card (.md) and the comparison (.json) beside it.",
    )
    export.add_argument("model", metavar="MODEL", type=source, help="model.pt of a training, or of an import")
    export.add_argument("--format", required=True, choices=("onnx", "torch-export", "safetensors"))
    export.add_argument("--out", metavar="FILE", type=output, help="the file to write (default: beside the model)")

    def run(args: argparse.Namespace) -> int:
        from msclnet.inference.export import export

        out, verification = export(args.model, args.format, args.out)
        print(printable(f"{out}: {verification}\ncard: {out}.md\nreport: {out}.json"))
        return 0

    export.set_defaults(run=run)


def _info(commands: Commands) -> None:
    info = commands.add_parser(
        "info",
        help="say what a checkpoint is",
        description="Prints what a model or an unfinished training's checkpoint is, on what it was trained, the scores "
        "in the scores.json beside it, and its configuration.",
    )
    info.add_argument("checkpoint", metavar="CHECKPOINT", type=source, help="model.pt, or work/checkpoint-N.pt")

    def run(args: argparse.Namespace) -> int:
        from msclnet.inference.info import info

        print(printable(info(args.checkpoint)))
        return 0

    info.set_defaults(run=run)


def _completion(commands: Commands, whole: argparse.ArgumentParser) -> None:
    parser = commands.add_parser(
        "completion",
        help="print what makes a shell complete these commands",
        description="Prints a script for a shell, after which Tab completes commands, options, files and choices.",
    )
    parser.add_argument("shell", choices=SHELLS)

    def run(args: argparse.Namespace) -> int:
        from msclnet.core.optional import extra
        from msclnet.datasets.table import SETS

        with extra("use"):
            import shtab
        for action in _actions(whole):
            if action.type in (source, output, output_folder):
                action.complete = shtab.DIRECTORY if action.type is output_folder else shtab.FILE  # type: ignore[attr-defined]
            if action.metavar == "SET":
                action.choices = SETS.names()
        print(shtab.complete(whole, args.shell))
        return 0

    parser.set_defaults(run=run)


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """The arguments of a parser and of its commands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)


def _deep_range(parser: argparse.ArgumentParser) -> None:
    what = "the values that become 0 and 255 in grey images of more than 8 bits (default: they are refused)"
    parser.add_argument("--deep-range", action=BlackToWhite, help=what)


def _setting(text: str) -> tuple[str, Any]:
    from msclnet.core import yaml_text

    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=VALUE")
    return name, yaml_text.read(value)


def _factor(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1000:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected a number above 0, at most 1000")
    return value


if __name__ == "__main__":
    sys.exit(main())
