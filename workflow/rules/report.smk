for figure, drawn_figure in FIGURES.items():

    rule:
        name:
            f"plot_{figure}"
        # A figure, as SVG and PNG, and its numbers beside it as CSV.
        input:
            files=drawn_figure.files,
            pack=pack_shown(figure),
        output:
            figure=HERE.figure("{set}", figure, FORMAT),
            page=report(
                HERE.figure("{set}", figure, "html"),
                caption=f"../report/{figure}.rst",
                category="Figures",
                labels={"data set": "{set}", "figure": drawn_figure.title},
            ),
            beside=[HERE.figure("{set}", figure, ending) for ending in beside(figure)],
        log:
            f"{OUT}/logs/plot_{figure}_{{set}}.log",
        benchmark:
            f"{OUT}/benchmarks/plot_{figure}_{{set}}.tsv"
        localrule: True
        conda:
            f"{ENVS}/report.yaml"
        params:
            data=data_label,
            methods=drawn_figure.methods,
            words=caption_words,
            figure=figure,
            more=more_for(figure),
            code=code_of_figure(figure),
        shell:
            'python "$SCRIPTS/plot.py" {params.figure} --set {wildcards.set} --data {params.data:q} '
            "--methods {params.methods} --inputs {input.files} {params.more} --out {output.figure} > {log} 2>&1"


rule explain:
    """The ranked lists of a few queries, and where the network looks on a few images."""
    input:
        models=first_split(layout.MODEL),
        features=first_split(layout.FEATURES),
        pack=lambda wildcards: pack_of(wildcards.set),
    output:
        ranked=HERE.figure("{set}", "ranked", "csv"),
        activation=HERE.figure("{set}", "activation", "csv"),
    log:
        f"{OUT}/logs/explain_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/explain_{{set}}.tsv"
    conda:
        f"{ENVS}/train.yaml"
    params:
        methods=CONFIG.run.methods,
        queries=CONFIG.figures.queries,
        seed=CONFIG.seed,
        code=code("explain"),
    shell:
        'python "$SCRIPTS/explain.py" --set {wildcards.set} --methods {params.methods} --models {input.models} '
        "--features {input.features} --pack $(dirname {input.pack}) --queries {params.queries} --seed {params.seed} "
        "--ranked {output.ranked} --activation {output.activation} > {log} 2>&1"


rule track:
    """Completes the tracking server's copy of a data set's trainings, scores, tables and figures."""
    input:
        metrics=files(layout.METRICS, CONFIG.run.methods),
        untrained=f"{OUT}/{{set}}/{settings.UNTRAINED}/{layout.METRICS}",
        scores=files(layout.SCORES, METHODS),
        tables=[HERE.table("{set}", kind) for kind in ("trials", "summary", "differences")],
        figures=lambda wildcards: figures(wildcards.set),
        pack=lambda wildcards: pack_of(wildcards.set),
    output:
        f"{OUT}/tracking/{{set}}.json",
    log:
        f"{OUT}/logs/track_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/track_{{set}}.tsv"
    conda:
        f"{ENVS}/report.yaml"
    params:
        uri=masked(CONFIG.tracking.uri),
        data=data_label,
        methods=METHODS,
        trainings=lambda wildcards: folders(wildcards.set, METHODS),
        code=code("track"),
    shell:
        'python "$SCRIPTS/track.py" --experiment "$EXPERIMENT" --set {wildcards.set} --data {params.data:q} '
        "--methods {params.methods} --trainings {params.trainings} --tables {input.tables} --figures {input.figures} "
        "--pack $(dirname {input.pack}) --out {output} > {log} 2>&1"


rule register:
    """One training's model of each method, in MLflow's registry."""
    input:
        record=f"{OUT}/tracking/{{set}}.json",
        models=files(layout.MODEL, CONFIG.run.methods),
        scores=files(layout.SCORES, CONFIG.run.methods),
    output:
        f"{OUT}/tracking/{{set}}_models.json",
    log:
        f"{OUT}/logs/register_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/register_{{set}}.tsv"
    conda:
        f"{ENVS}/train.yaml"
    params:
        uri=masked(CONFIG.tracking.uri),
        data=data_label,
        methods=CONFIG.run.methods,
        trainings=lambda wildcards: folders(wildcards.set, CONFIG.run.methods),
        code=code("register"),
    shell:
        'python "$SCRIPTS/register.py" --experiment "$EXPERIMENT" --set {wildcards.set} '
        "--data {params.data:q} --methods {params.methods} --trainings {params.trainings} --record {input.record} "
        "--out {output} > {log} 2>&1"
