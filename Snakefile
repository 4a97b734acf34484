"""MSCLNet, from images to a table: snakemake --cores all [--use-conda] [results/regdb_summary.csv]"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


configfile: str(Path(workflow.basedir, "config/config.yaml"))


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/studies.smk"


# Seconds each, without a GPU: a cluster's queue would take longer.
localrules:
    studies,
    all,
    link_data,
    collect,
    collect_untrained,
    aggregate,
    track,
    register,
    study,
    plot_study,


rule studies:
    """Every study of the configuration; not part of `all`, for each variant is trained anew."""
    input:
        expand(f"{OUT}/{{study}}.csv", study=CONFIG.studies),
        expand(f"{OUT}/figures/{{study}}.{FORMAT}", study=CONFIG.studies),


rule all:
    default_target: True
    input:
        [path for name in CONFIG.run.sets for path in wanted_of(name)],
