for name in CONFIGURED:

    rule:
        name:
            f"evaluate_{name}"
        # Scores a method's splits by the set's protocol, each model on its own split only.
        input:
            features=expand(
                f"{HERE.training(name, '{{method}}', '{split}')}/{layout.FEATURES}",
                split=settings.splits(CONFIG, name),
            ),
            pack=pack_of(name),
        output:
            expand(
                f"{HERE.training(name, '{{method}}', '{split}')}/{layout.SCORES}", split=settings.splits(CONFIG, name)
            ),
        log:
            f"{OUT}/logs/evaluate_{name}_{{method}}.log",
        benchmark:
            f"{OUT}/benchmarks/evaluate_{name}_{{method}}.tsv"
        conda:
            f"{ENVS}/train.yaml"
        params:
            set=name,
            root=shared.root(CONFIG, name),
            options=evaluation(name),
            code=code("evaluate"),
        shell:
            'python "$SCRIPTS/evaluate.py" --set {params.set} --root={params.root:q} --features {input.features} '
            "{params.options} > {log} 2>&1"


rule aggregate:
    """The tables: a row per trial, one per method with mean, spread and the paper's number, and one per two methods."""
    input:
        files(layout.SCORES, METHODS),
    output:
        trials=report(
            HERE.table("{set}", "trials"),
            caption="../report/trials.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "trials; the CSV, to be saved"},
        ),
        summary=report(
            HERE.table("{set}", "summary"),
            caption="../report/summary.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "summary; the CSV, to be saved"},
        ),
        differences=report(
            HERE.table("{set}", "differences"),
            caption="../report/differences.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "differences; the CSV, to be saved"},
        ),
        page=report(
            f"{OUT}/{{set}}_summary.html",
            caption="../report/summary.rst",
            category="Tables",
            labels={"data set": "{set}", "table": "summary"},
        ),
    log:
        f"{OUT}/logs/aggregate_{{set}}.log",
    benchmark:
        f"{OUT}/benchmarks/aggregate_{{set}}.tsv"
    conda:
        f"{ENVS}/data.yaml"
    params:
        data=data_label,
        methods=METHODS,
        words=caption_words,
        code=code("aggregate"),
    shell:
        'python "$SCRIPTS/aggregate.py" --set {wildcards.set} --data {params.data:q} --methods {params.methods} '
        "--scores {input} --trials {output.trials} --summary {output.summary} "
        "--differences {output.differences} --page {output.page} > {log} 2>&1"
