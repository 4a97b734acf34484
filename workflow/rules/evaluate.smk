RERANK = "--rerank" if CONFIG.evaluate.rerank else ""
OFFICIAL = CONFIG.evaluate.sysu.protocol == "official"
PERMUTATIONS = f"--permutations {shlex.quote(root('sysu'))}/exp/rand_perm_cam.mat" if OFFICIAL else ""


rule evaluate_regdb:
    """Scores a method's splits, each model on its own split only, in both directions."""
    input:
        expand("results/regdb/{{method}}/split{split}/features.npz", split=settings.splits(CONFIG, "regdb")),
    output:
        expand("results/regdb/{{method}}/split{split}/scores.json", split=settings.splits(CONFIG, "regdb")),
    log:
        "results/logs/evaluate_regdb_{method}.log",
    benchmark:
        "results/benchmarks/evaluate_regdb_{method}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        rerank=RERANK,
        code=code("msclnet/evaluation", "msclnet/datasets"),
    shell:
        "python $SCRIPTS/evaluate.py --set regdb --features {input} {params.rerank} > {log} 2>&1"


rule evaluate_sysu:
    """Scores a method in every mode and number of shots, over the gallery draws."""
    input:
        features="results/sysu/{method}/split1/features.npz",
        checked="results/data/sysu_check.json",
    output:
        "results/sysu/{method}/split1/scores.json",
    log:
        "results/logs/evaluate_sysu_{method}.log",
    benchmark:
        "results/benchmarks/evaluate_sysu_{method}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        modes=CONFIG.evaluate.sysu.modes,
        shots=CONFIG.evaluate.sysu.shots,
        protocol=CONFIG.evaluate.sysu.protocol,
        permutations=PERMUTATIONS,
        draws=CONFIG.evaluate.sysu.draws,
        rerank=RERANK,
        code=code("msclnet/evaluation", "msclnet/datasets/permutations.py"),
    shell:
        "python $SCRIPTS/evaluate.py --set sysu --features {input.features} --modes {params.modes} --shots {params.shots} "
        "--protocol {params.protocol} {params.permutations} --draws {params.draws} {params.rerank} > {log} 2>&1"


rule evaluate_llcm:
    """Scores a method in both directions, over the gallery draws."""
    input:
        "results/llcm/{method}/split1/features.npz",
    output:
        "results/llcm/{method}/split1/scores.json",
    log:
        "results/logs/evaluate_llcm_{method}.log",
    benchmark:
        "results/benchmarks/evaluate_llcm_{method}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        draws=CONFIG.evaluate.llcm.draws,
        rerank=RERANK,
        code=code("msclnet/evaluation", "msclnet/datasets"),
    shell:
        "python $SCRIPTS/evaluate.py --set llcm --features {input} --draws {params.draws} {params.rerank} > {log} 2>&1"


rule aggregate:
    """The tables: a row per trial, and a row per method with mean, spread and the paper's number."""
    input:
        lambda wildcards: [f"{folder}/scores.json" for folder in trainings(wildcards.set, METHODS)],
    output:
        trials=report(
            "results/{set}_trials.csv",
            caption="../report/trials.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "trials, as CSV"},
        ),
        summary=report(
            "results/{set}_summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "summary, as CSV"},
        ),
        page=report(
            "results/{set}_summary.html",
            caption="../report/summary.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "summary"},
        ),
    log:
        "results/logs/aggregate_{set}.log",
    benchmark:
        "results/benchmarks/aggregate_{set}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        data=lambda wildcards: settings.data_label(CONFIG, wildcards.set),
        methods=METHODS,
        code=code("msclnet/results/tables.py", "msclnet/report/summary_page.py"),
    shell:
        "python $SCRIPTS/aggregate.py --set {wildcards.set} --data {params.data:q} --methods {params.methods} "
        "--scores {input} --trials {output.trials} --summary {output.summary} --page {output.page} > {log} 2>&1"
