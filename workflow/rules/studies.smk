for name, plan in STUDIES.items():

    rule:
        name:
            f"score_{name}"
        # Embeds and scores a variant's trainings on a split, of all seeds in one job.
        input:
            models=lambda wildcards, name=name: [
                f"{shared.training(*STUDIED[name, wildcards.variant, int(wildcards.split), seed])}/{layout.MODEL}"
                for seed in CONFIG.studies[name].seeds
            ],
            pack=lambda wildcards, plan=plan: pack_of(plan.study.set, plan.variant(wildcards.variant).config),
        output:
            features=[f"{folder}/{layout.FEATURES}" for folder in plan.folders(OUT, "{variant}", "{split}")],
            scores=[f"{folder}/{layout.SCORES}" for folder in plan.folders(OUT, "{variant}", "{split}")],
        log:
            f"{OUT}/logs/score_{name}_{{variant}}_split{{split}}.log",
        benchmark:
            f"{OUT}/benchmarks/score_{name}_{{variant}}_split{{split}}.tsv"
        wildcard_constraints:
            variant="|".join(re.escape(variant.name) for variant in plan.variants),
        conda:
            f"{ENVS}/train.yaml"
        threads: PLAN.embedding_cores
        resources:
            device=PLAN.embedding_device,
            gpu=PLAN.counted(PLAN.embedding_gpus),
            gres=PLAN.requested(PLAN.embedding_gpus),
        params:
            set=plan.study.set,
            embedding=lambda wildcards, plan=plan: embedding(plan.variant(wildcards.variant).config),
            root=lambda wildcards, plan=plan: shared.root(plan.variant(wildcards.variant).config, plan.study.set),
            options=lambda wildcards, plan=plan: evaluation(plan.study.set, plan.variant(wildcards.variant).config),
            code=code("features", "evaluate"),
        shell:
            'python "$SCRIPTS/launch.py" --device {resources.device} --share $SHARE --threads {threads} "$SCRIPTS/features.py" '
            "--model {input.models} --pack $(dirname {input.pack}) --split {wildcards.split} {params.embedding} "
            "--out {output.features} > {log} 2>&1 && "
            'python "$SCRIPTS/evaluate.py" --set {params.set} --root={params.root:q} --features {output.features} '
            "{params.options} >> {log} 2>&1"


rule study:
    """A study's table: mean, spread and difference to the reference of each variant."""
    input:
        scores=scores_of,
    output:
        table=report(
            f"{OUT}/{{study}}.csv",
            caption="../report/study.rst",
            category="Studies",
            labels={"study": "{study}", "shows": "table; the CSV, to be saved"},
        ),
    log:
        f"{OUT}/logs/study_{{study}}.log",
    benchmark:
        f"{OUT}/benchmarks/study_{{study}}.tsv"
    wildcard_constraints:
        study="|".join(CONFIG.studies) or "none",
    conda:
        f"{ENVS}/data.yaml"
    params:
        study=lambda wildcards: json.dumps(study_of(wildcards).described()),
        data=lambda wildcards: settings.data_label(CONFIG, CONFIG.studies[wildcards.study].set),
        words=words_of_study,
        code=code("study"),
    shell:
        'python "$SCRIPTS/study.py" --study {params.study:q} --scores {input.scores} --out {output.table} > {log} 2>&1'


rule plot_study:
    """A study's table as a figure."""
    input:
        f"{OUT}/{{study}}.csv",
    output:
        figure=f"{OUT}/figures/{{study}}.{FORMAT}",
        page=report(
            f"{OUT}/figures/{{study}}.html",
            caption="../report/study.rst",
            category="Studies",
            labels={"study": "{study}", "shows": "figure"},
        ),
        beside=f"{OUT}/figures/{{study}}.{OTHER}",
    log:
        f"{OUT}/logs/plot_{{study}}.log",
    benchmark:
        f"{OUT}/benchmarks/plot_{{study}}.tsv"
    wildcard_constraints:
        study="|".join(CONFIG.studies) or "none",
    conda:
        f"{ENVS}/report.yaml"
    params:
        set=lambda wildcards: CONFIG.studies[wildcards.study].set,
        data=lambda wildcards: settings.data_label(CONFIG, CONFIG.studies[wildcards.study].set),
        words=words_of_study,
        method=lambda wildcards: CONFIG.studies[wildcards.study].method,
        beside=lambda wildcards: f"--beside {beside}" if (beside := CONFIG.studies[wildcards.study].beside) else "",
        code=code_of_figure("studies"),
    shell:
        'python "$SCRIPTS/plot.py" study --set {params.set} --data {params.data:q} --methods {params.method} '
        "{params.beside} --inputs {input} --out {output.figure} > {log} 2>&1"
