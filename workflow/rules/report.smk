STYLE = [f"msclnet/report/figures/{name}.py" for name in ("style", "numbers", "tables", "photographs")]
LINES = [*STYLE, "msclnet/report/figures/curves.py"]


rule plot_cmc:
    """CMC curves, mean and band over the trials."""
    input:
        lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, METHODS)],
    output:
        figure=report(
            f"results/figures/{{set}}_cmc.{FORMAT}",
            caption="../report/cmc.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "CMC"},
        ),
        beside=multiext("results/figures/{set}_cmc", f".{OTHER}", ".csv"),
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
        code=code(*LINES),
    shell:
        "python $SCRIPTS/plot.py cmc --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--ranks {params.ranks} --scores {input} --out {output.figure} > {log} 2>&1"


rule plot_losses:
    """Each term of the objective, and the learning rate, against the steps."""
    input:
        lambda wildcards: [f"{folder}/metrics.jsonl" for folder in trainings(wildcards.set, CONFIG.run.methods)],
    output:
        figure=report(
            f"results/figures/{{set}}_losses.{FORMAT}",
            caption="../report/losses.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "losses"},
        ),
        beside=multiext("results/figures/{set}_losses", f".{OTHER}", ".csv"),
    log:
        "results/logs/plot_losses_{set}.log",
    benchmark:
        "results/benchmarks/plot_losses_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        code=code(*LINES),
    shell:
        "python $SCRIPTS/plot.py losses --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--metrics {input} --out {output.figure} > {log} 2>&1"


rule plot_embedding:
    """t-SNE of the test features of a few identities."""
    input:
        features=shown("features.npz"),
    output:
        figure=report(
            f"results/figures/{{set}}_embedding.{FORMAT}",
            caption="../report/embedding.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "t-SNE"},
        ),
        beside=multiext("results/figures/{set}_embedding", f".{OTHER}", ".csv"),
    log:
        "results/logs/plot_embedding_{set}.log",
    benchmark:
        "results/benchmarks/plot_embedding_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        identities=CONFIG.figures.identities,
        seed=CONFIG.seed,
        code=code(*STYLE, "msclnet/report/figures/embedding.py"),
    shell:
        "python $SCRIPTS/plot.py embedding --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--identities {params.identities} --seed {params.seed} --features {input.features} "
        "--out {output.figure} > {log} 2>&1"


rule plot_distances:
    """Distances across modalities, within and between identities."""
    input:
        features=shown("features.npz"),
    output:
        figure=report(
            f"results/figures/{{set}}_distances.{FORMAT}",
            caption="../report/distances.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "distances"},
        ),
        beside=multiext("results/figures/{set}_distances", f".{OTHER}", ".csv"),
    log:
        "results/logs/plot_distances_{set}.log",
    benchmark:
        "results/benchmarks/plot_distances_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        code=code(*STYLE, "msclnet/report/figures/distances.py"),
    shell:
        "python $SCRIPTS/plot.py distances --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--features {input.features} "
        "--out {output.figure} > {log} 2>&1"


rule plot_cameras:
    """Rank-1 by the pair of cameras."""
    input:
        features=shown("features.npz"),
    output:
        figure=report(
            f"results/figures/{{set}}_cameras.{FORMAT}",
            caption="../report/cameras.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "camera pairs"},
        ),
        beside=multiext("results/figures/{set}_cameras", f".{OTHER}", ".csv"),
    log:
        "results/logs/plot_cameras_{set}.log",
    benchmark:
        "results/benchmarks/plot_cameras_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        code=code(*STYLE, "msclnet/report/figures/cameras.py"),
    shell:
        "python $SCRIPTS/plot.py cameras --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--features {input.features} "
        "--out {output.figure} > {log} 2>&1"


rule explain:
    """The ranked lists of a few queries, and where the network looks on a few images."""
    input:
        models=shown("model.pt"),
        features=shown("features.npz"),
        pack="data/packs/{set}/pack.json",
    output:
        ranked="results/figures/{set}_ranked.csv",
        activation="results/figures/{set}_activation.csv",
    log:
        "results/logs/explain_{set}.log",
    benchmark:
        "results/benchmarks/explain_{set}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        methods=CONFIG.run.methods,
        queries=CONFIG.figures.queries,
        seed=CONFIG.seed,
        code=code("msclnet/report/explain", "msclnet/evaluation", "msclnet/model", "msclnet/report/figures/tables.py"),
    shell:
        "python $SCRIPTS/explain.py --set {wildcards.set} --methods {params.methods} --models {input.models} "
        "--features {input.features} --pack $(dirname {input.pack}) --queries {params.queries} --seed {params.seed} "
        "--ranked {output.ranked} --activation {output.activation} > {log} 2>&1"


rule plot_ranked:
    """Ranked lists of the last method."""
    input:
        table="results/figures/{set}_ranked.csv",
        pack="data/packs/{set}/pack.json",
    output:
        figure=report(
            f"results/figures/{{set}}_ranked.{FORMAT}",
            caption="../report/ranked.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "ranked lists"},
        ),
        beside=f"results/figures/{{set}}_ranked.{OTHER}",
    log:
        "results/logs/plot_ranked_{set}.log",
    benchmark:
        "results/benchmarks/plot_ranked_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        method=CONFIG.run.methods[-1],
        queries=CONFIG.figures.queries,
        code=code(*STYLE, "msclnet/report/figures/ranked.py"),
    shell:
        "python $SCRIPTS/plot.py ranked --set {wildcards.set} --data {params.data:q} --method {params.method} "
        "--table {input.table} --pack $(dirname {input.pack}) "
        "--out {output.figure} > {log} 2>&1"


rule plot_activation:
    """Class-activation maps over their images."""
    input:
        table="results/figures/{set}_activation.csv",
        pack="data/packs/{set}/pack.json",
    output:
        figure=report(
            f"results/figures/{{set}}_activation.{FORMAT}",
            caption="../report/activation.rst",
            category="Figures",
            labels={"data set": "{set}", "figure": "activation maps"},
        ),
        beside=f"results/figures/{{set}}_activation.{OTHER}",
    log:
        "results/logs/plot_activation_{set}.log",
    benchmark:
        "results/benchmarks/plot_activation_{set}.tsv"
    conda:
        "../../envs/report.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        queries=CONFIG.figures.queries,
        code=code(*STYLE, "msclnet/report/figures/activation.py"),
    shell:
        "python $SCRIPTS/plot.py activation --set {wildcards.set} --data {params.data:q} "
        "--table {input.table} --pack $(dirname {input.pack}) "
        "--out {output.figure} > {log} 2>&1"


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
        code=code("msclnet/tracking"),
    shell:
        "python $SCRIPTS/track_prepare.py --uri={params.uri:q} --out {output} > {log} 2>&1"


rule track:
    """Completes the tracking server's copy of a data set's trainings, scores, tables and figures."""
    input:
        ready="results/tracking/ready.json",
        metrics=lambda wildcards: [f"{folder}/metrics.jsonl" for folder in trainings(wildcards.set, CONFIG.run.methods)],
        scores=lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, METHODS)],
        tables=["results/{set}_trials.csv", "results/{set}_summary.csv"],
        figures=lambda wildcards: figures(wildcards.set),
        pack="data/packs/{set}/pack.json",
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
        code=code("msclnet/tracking"),
    shell:
        "python $SCRIPTS/track.py --uri={params.uri:q} --set {wildcards.set} --data {params.data:q} "
        "--methods {params.methods} --trainings {params.trainings} --tables {input.tables} --figures {input.figures} "
        "--pack $(dirname {input.pack}) --out {output} > {log} 2>&1"


rule register:
    """The best split's model of each method, in MLflow's registry."""
    input:
        record="results/tracking/{set}.json",
        models=lambda wildcards: [f"{folder}/model.pt" for folder in trainings(wildcards.set, CONFIG.run.methods)],
        scores=lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, CONFIG.run.methods)],
    output:
        "results/tracking/{set}_models.json",
    log:
        "results/logs/register_{set}.log",
    benchmark:
        "results/benchmarks/register_{set}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        uri=CONFIG.tracking.uri,
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=CONFIG.run.methods,
        trainings=lambda wildcards: trainings(wildcards.set, CONFIG.run.methods),
        code=code("msclnet/tracking/registry.py", "msclnet/tracking", "msclnet/model"),
    shell:
        "python $SCRIPTS/register.py --uri={params.uri:q} --set {wildcards.set} --data {params.data:q} "
        "--methods {params.methods} --trainings {params.trainings} --record {input.record} --out {output} > {log} 2>&1"
