rule plot_cmc:
    """CMC curves, mean and band over the trials."""
    input:
        lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, METHODS)],
    output:
        report(
            f"results/figures/{{set}}_cmc.{FORMAT}",
            caption="../report/cmc.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "CMC"},
        ),
    log:
        "results/logs/plot_cmc_{set}.log",
    benchmark:
        "results/benchmarks/plot_cmc_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        ranks=CONFIG.figures.ranks,
        methods=METHODS,
        code=code("msclnet/plots.py"),
    shell:
        "python $SCRIPTS/plot.py cmc --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--ranks {params.ranks} --scores {input} --out {output} > {log} 2>&1"


rule plot_losses:
    """Each term of the objective, and the learning rate, against the steps."""
    input:
        lambda wildcards: [f"{folder}/metrics.jsonl" for folder in trainings(wildcards.set, CONFIG.run.methods)],
    output:
        report(
            f"results/figures/{{set}}_losses.{FORMAT}",
            caption="../report/losses.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "losses"},
        ),
    log:
        "results/logs/plot_losses_{set}.log",
    benchmark:
        "results/benchmarks/plot_losses_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        code=code("msclnet/plots.py"),
    shell:
        "python $SCRIPTS/plot.py losses --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--metrics {input} --out {output} > {log} 2>&1"


rule track_prepare:
    """Creates the tracking database once, before trainings write to it side by side; never stops them."""
    output:
        "results/tracking/ready.json",
    log:
        "results/logs/track_prepare.log",
    benchmark:
        "results/benchmarks/track_prepare.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        uri=CONFIG.tracking.uri,
        code=code("msclnet/tracking.py"),
    shell:
        "python $SCRIPTS/track_prepare.py --uri={params.uri:q} --out {output} > {log} 2>&1"


rule track:
    """Completes the tracking server's copy of a data set's trainings, scores, tables and figures."""
    input:
        ready="results/tracking/ready.json",
        metrics=lambda wildcards: [f"{folder}/metrics.jsonl" for folder in trainings(wildcards.set, CONFIG.run.methods)],
        scores=lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, METHODS)],
        tables=["results/{set}_trials.csv", "results/{set}_summary.csv"],
        figures=expand("results/figures/{{set}}_{figure}.{format}", figure=FIGURES, format=FORMAT),
    output:
        "results/tracking/{set}.json",
    log:
        "results/logs/track_{set}.log",
    benchmark:
        "results/benchmarks/track_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        uri=CONFIG.tracking.uri,
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=METHODS,
        trainings=lambda wildcards: trainings(wildcards.set, METHODS),
        code=code("msclnet/tracking.py"),
    shell:
        "python $SCRIPTS/track.py --uri={params.uri:q} --set {wildcards.set} --data {params.data:q} "
        "--methods {params.methods} --trainings {params.trainings} --tables {input.tables} --figures {input.figures} "
        "--out {output} > {log} 2>&1"
