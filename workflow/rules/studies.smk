rule score_study:
    """Embeds and scores a variant of the paper's studies, all its seeds in one job."""
    input:
        models=models_studied,
        pack=pack_of(STUDIED),
    output:
        features=studied("{variant}", layout.FEATURES),
        scores=studied("{variant}", layout.SCORES),
    log:
        f"{OUT}/logs/score_study_{{variant}}.log",
    benchmark:
        f"{OUT}/benchmarks/score_study_{{variant}}.tsv"
    wildcard_constraints:
        variant="|".join(map(re.escape, VARIANTS)),
    conda:
        f"{ENVS}/train.yaml"
    threads: PLAN.embedding_cores
    resources:
        device=PLAN.embedding_device,
        gpu=PLAN.counted(PLAN.embedding_gpus),
        gres=PLAN.requested(PLAN.embedding_gpus),
    params:
        set=STUDIED,
        split=CONFIG.studies.split,
        batch=CONFIG.evaluate.batch,
        threads=CONFIG.train.threads,
        root=shared.root(CONFIG, STUDIED),
        options=evaluation(STUDIED),
        code=code("features", "evaluate"),
    shell:
        'python "$SCRIPTS/launch.py" --device {resources.device} --threads {threads} "$SCRIPTS/features.py" '
        "--model {input.models} --pack $(dirname {input.pack}) --split {params.split} "
        "--batch {params.batch} --threads {params.threads} --out {output.features} > {log} 2>&1 && "
        'python "$SCRIPTS/evaluate.py" --set {params.set} --root {params.root:q} --features {output.features} '
        "{params.options} >> {log} 2>&1"


rule ablation:
    """Table 1 of the paper: each combination of terms over the baseline, beside the numbers in print."""
    input:
        scores=scores_of(studies.ablation_variants()),
    output:
        table=report(
            f"{OUT}/ablation.csv",
            caption="../report/ablation.rst",
            category="Studies",
            labels={"data set": STUDIED, "study": "Table 1"},
        ),
    log:
        f"{OUT}/logs/ablation.log",
    benchmark:
        f"{OUT}/benchmarks/ablation.tsv"
    conda:
        f"{ENVS}/data.yaml"
    params:
        study="ablation",
        studies=inline(CONFIG.studies),
        data=settings.data_label(CONFIG, STUDIED),
        words=captions.words(CONFIG, STUDIED),
        losses=inline(COMPLETE_LOSSES),
        code=code("study"),
    shell:
        'python "$SCRIPTS/study.py" {params.study} --studies {params.studies:q} --losses {params.losses:q} '
        "--data {params.data:q} --scores {input.scores} --out {output.table} > {log} 2>&1"


use rule ablation as sensitivity with:
    input:
        scores=scores_of(point.variant for point in POINTS),
    output:
        table=report(
            f"{OUT}/sensitivity.csv",
            caption="../report/sensitivity.rst",
            category="Studies",
            labels={"data set": STUDIED, "study": "Figure 6"},
        ),
    log:
        f"{OUT}/logs/sensitivity.log",
    benchmark:
        f"{OUT}/benchmarks/sensitivity.tsv"
    params:
        study="sensitivity",
        studies=inline(CONFIG.studies),
        data=settings.data_label(CONFIG, STUDIED),
        words=captions.words(CONFIG, STUDIED),
        losses=inline(COMPLETE_LOSSES),
        code=code("study"),


rule plot_study:
    """A study's table as a figure."""
    input:
        f"{OUT}/{{study}}.csv",
    output:
        figure=report(
            f"{OUT}/figures/{{study}}.{FORMAT}",
            caption="../report/{study}.rst",
            category="Studies",
            labels={"data set": STUDIED, "study": "{study}"},
        ),
        beside=f"{OUT}/figures/{{study}}.{OTHER}",
    log:
        f"{OUT}/logs/plot_{{study}}.log",
    benchmark:
        f"{OUT}/benchmarks/plot_{{study}}.tsv"
    wildcard_constraints:
        study="ablation|sensitivity",
    conda:
        f"{ENVS}/report.yaml"
    params:
        set=STUDIED,
        data=settings.data_label(CONFIG, STUDIED),
        words=captions.words(CONFIG, STUDIED),
        method=CONFIG.studies.method,
        code=code_of_figure("studies"),
    shell:
        'python "$SCRIPTS/plot.py" {wildcards.study} --set {params.set} --data {params.data:q} '
        "--methods {params.method} --inputs {input} --out {output.figure} > {log} 2>&1"
