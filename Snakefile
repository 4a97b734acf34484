"""MSCLNet, from images to a table: snakemake --cores all [--use-conda] [results/regdb_summary.csv]"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


configfile: str(Path(workflow.basedir, "config/config.yaml"))


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/studies.smk"


# Seconds each, without a GPU: a cluster's queue would take longer.
localrules:
    studies,
    all,
    aggregate,
    plot_cmc,
    plot_losses,
    plot_embedding,
    plot_distances,
    plot_cameras,
    plot_ranked,
    plot_activation,
    track_prepare,
    track,
    register,
    ablation,
    sensitivity,
    plot_study,


rule studies:
    """Table 1 and Figure 6 of the paper; not part of `all`, for it trains each variant anew."""
    input:
        expand("results/{study}.csv", study=["ablation", "sensitivity"]),
        expand("results/figures/{study}.{format}", study=["ablation", "sensitivity"], format=FORMAT),


rule all:
    default_target: True
    input:
        expand("results/{set}_summary.csv", set=CONFIG.run.sets),
        expand("results/{set}_trials.csv", set=CONFIG.run.sets),
        [path for name in CONFIG.run.sets for path in figures(name)],
        expand("results/tracking/{set}_models.json", set=CONFIG.run.sets),
