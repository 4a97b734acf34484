rule plot:
    """A figure, as SVG and PNG, and its numbers beside it as CSV."""
    input:
        files=lambda wildcards: FIGURES[wildcards.figure].files(wildcards),
    output:
        figure=report(
            HERE.figure("{set}", "{figure}", FORMAT),
            caption="../report/{figure}.rst",
            category="Figures",
            labels=lambda wildcards: {"data set": wildcards.set, "figure": FIGURES[wildcards.figure].title},
        ),
        beside=[HERE.figure("{set}", "{figure}", ending) for ending in (OTHER, "csv")],
    log:
        f"{OUT}/logs/plot_{{figure}}_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/plot_{{figure}}_{{set}}.tsv"
    wildcard_constraints:
        figure="|".join(figure for figure in FIGURES if figure not in PHOTOGRAPHS),
    conda:
        "../../envs/report.yaml"
    params:
        data=data_label,
        methods=drawn_from("methods"),
        words=caption_words,
        more=drawn_from("more"),
        code=lambda wildcards: code_of_figure(wildcards.figure),
    shell:
        "python $SCRIPTS/plot.py {wildcards.figure} --set {wildcards.set} --data {params.data:q} "
        "--methods {params.methods} --inputs {input.files} {params.more} --out {output.figure} > {log} 2>&1"


use rule plot as plot_photographs with:
    input:
        files=lambda wildcards: FIGURES[wildcards.figure].files(wildcards),
        pack=lambda wildcards: pack_of(wildcards.set),
    output:
        figure=report(
            HERE.figure("{set}", "{figure}", FORMAT),
            caption="../report/{figure}.rst",
            category="Figures",
            labels=lambda wildcards: {"data set": wildcards.set, "figure": FIGURES[wildcards.figure].title},
        ),
        beside=HERE.figure("{set}", "{figure}", OTHER),
    wildcard_constraints:
        figure="|".join(PHOTOGRAPHS),
    params:
        data=data_label,
        methods=drawn_from("methods"),
        words=caption_words,
        more=lambda wildcards: f"--pack {shared.pack(CONFIG, wildcards.set)}",
        code=lambda wildcards: code_of_figure(wildcards.figure),


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
        "../../envs/train.yaml"
    params:
        methods=CONFIG.run.methods,
        queries=CONFIG.figures.queries,
        seed=CONFIG.seed,
        code=code("explain"),
    shell:
        "python $SCRIPTS/explain.py --set {wildcards.set} --methods {params.methods} --models {input.models} "
        "--features {input.features} --pack $(dirname {input.pack}) --queries {params.queries} --seed {params.seed} "
        "--ranked {output.ranked} --activation {output.activation} > {log} 2>&1"


rule track:
    """Completes the tracking server's copy of a data set's trainings, scores, tables and figures."""
    input:
        ready=READY,
        metrics=files(layout.METRICS, CONFIG.run.methods),
        untrained=f"{OUT}/{{set}}/{settings.UNTRAINED}/{layout.METRICS}",
        scores=files(layout.SCORES, METHODS),
        tables=[HERE.table("{set}", kind) for kind in ("trials", "summary")],
        figures=lambda wildcards: figures(wildcards.set),
        pack=lambda wildcards: pack_of(wildcards.set),
    output:
        f"{OUT}/tracking/{{set}}.json",
    log:
        f"{OUT}/logs/track_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/track_{{set}}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        uri=masked(CONFIG.tracking.uri),
        data=data_label,
        methods=METHODS,
        trainings=lambda wildcards: folders(wildcards.set, METHODS),
        code=code("track"),
    shell:
        'python $SCRIPTS/track.py --experiment "$EXPERIMENT" --set {wildcards.set} --data {params.data:q} '
        "--methods {params.methods} --trainings {params.trainings} --tables {input.tables} --figures {input.figures} "
        "--pack $(dirname {input.pack}) --out {output} > {log} 2>&1"


rule register:
    """The best split's model of each method, in MLflow's registry."""
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
        "../../envs/train.yaml"
    params:
        uri=masked(CONFIG.tracking.uri),
        data=data_label,
        methods=CONFIG.run.methods,
        trainings=lambda wildcards: folders(wildcards.set, CONFIG.run.methods),
        code=code("register"),
    shell:
        'python $SCRIPTS/register.py --experiment "$EXPERIMENT" --set {wildcards.set} '
        "--data {params.data:q} --methods {params.methods} --trainings {params.trainings} --record {input.record} "
        "--out {output} > {log} 2>&1"
