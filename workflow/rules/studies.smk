rule score_study:
    """Embeds and scores a variant of the paper's studies, all its seeds in one job."""
    input:
        models=lambda wildcards: studied(wildcards.variant, "model.pt"),
        pack=f"data/packs/{CONFIG.studies.set}/pack.json",
    output:
        features=studied("{variant}", "features.npz"),
        scores=studied("{variant}", "scores.json"),
    log:
        "results/logs/score_study_{variant}.log",
    benchmark:
        "results/benchmarks/score_study_{variant}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: share_of_cores(CONFIG.train.threads, EMBEDDING_GPUS or GPUS)
    resources:
        device=EMBEDDING_DEVICE,
        gpu=counted(EMBEDDING_GPUS),
        gres=requested(EMBEDDING_GPUS),
    params:
        set=CONFIG.studies.set,
        split=CONFIG.studies.split,
        batch=CONFIG.evaluate.batch,
        threads=CONFIG.train.threads,
        protocol=f"--protocol {CONFIG.evaluate.sysu.protocol} {PERMUTATIONS} --draws {CONFIG.evaluate.sysu.draws}",
        code=code("msclnet/evaluation/embedding.py", "msclnet/model", "msclnet/evaluation"),
    shell:
        "python $SCRIPTS/launch.py --device {resources.device} --threads {threads} $SCRIPTS/features.py "
        "--model {input.models} --pack $(dirname {input.pack}) --split {params.split} "
        "--batch {params.batch} --threads {params.threads} --out {output.features} > {log} 2>&1 && "
        "python $SCRIPTS/evaluate.py --set {params.set} --features {output.features} --modes all --shots 1 "
        "{params.protocol} >> {log} 2>&1"


rule ablation:
    """Table 1 of the paper: each combination of terms over the baseline, beside the numbers in print."""
    input:
        scores=[path for variant in studies.ablation_variants() for path in studied(variant, "scores.json")],
    output:
        table=report(
            "results/ablation.csv",
            caption="../report/ablation.rst",
            category="Studies",
            labels={"data set": CONFIG.studies.set, "study": "Table 1"},
        ),
    log:
        "results/logs/ablation.log",
    benchmark:
        "results/benchmarks/ablation.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        studies=inline(CONFIG.studies),
        data=settings.data_label(CONFIG, CONFIG.studies.set),
        losses=inline(STUDIED),
        code=code("msclnet/results/studies.py", "msclnet/results/tables.py"),
    shell:
        "python $SCRIPTS/study.py ablation --studies {params.studies:q} --losses {params.losses:q} "
        "--data {params.data:q} --scores {input.scores} --out {output.table} > {log} 2>&1"


rule sensitivity:
    """Figure 6 of the paper: the complete method with one weight varied."""
    input:
        scores=sorted(
            {
                path
                for point in studies.sensitivity_points(CONFIG.studies, STUDIED)
                for path in studied(point.variant, "scores.json")
            }
        ),
    output:
        table=report(
            "results/sensitivity.csv",
            caption="../report/sensitivity.rst",
            category="Studies",
            labels={"data set": CONFIG.studies.set, "study": "Figure 6"},
        ),
    log:
        "results/logs/sensitivity.log",
    benchmark:
        "results/benchmarks/sensitivity.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        studies=inline(CONFIG.studies),
        data=settings.data_label(CONFIG, CONFIG.studies.set),
        losses=inline(STUDIED),
        code=code("msclnet/results/studies.py", "msclnet/results/tables.py"),
    shell:
        "python $SCRIPTS/study.py sensitivity --studies {params.studies:q} --losses {params.losses:q} "
        "--data {params.data:q} --scores {input.scores} --out {output.table} > {log} 2>&1"


rule plot_study:
    """A study's table as a figure."""
    input:
        "results/{study}.csv",
    output:
        figure=report(
            f"results/figures/{{study}}.{FORMAT}",
            caption="../report/{study}.rst",
            category="Studies",
            labels={"data set": CONFIG.studies.set, "study": "{study}"},
        ),
        beside=f"results/figures/{{study}}.{OTHER}",
    log:
        "results/logs/plot_{study}.log",
    benchmark:
        "results/benchmarks/plot_{study}.tsv"
    wildcard_constraints:
        study="ablation|sensitivity",
    conda:
        "../../envs/report.yaml"
    params:
        set=CONFIG.studies.set,
        data=settings.data_label(CONFIG, CONFIG.studies.set),
        code=code(*LINES),
    shell:
        "python $SCRIPTS/plot.py {wildcards.study} --set {params.set} --table {input} --out {output.figure} > {log} 2>&1"
