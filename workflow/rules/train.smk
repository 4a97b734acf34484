rule train:
    """One training: a method on a split, on as many processes as configured; continues where it was interrupted."""
    input:
        pack=pack_trained_on,
    output:
        model=f"{layout.TRAININGS}/{{folder}}/{layout.MODEL}",
        metrics=f"{layout.TRAININGS}/{{folder}}/{layout.METRICS}",
        config=f"{layout.TRAININGS}/{{folder}}/{layout.CONFIG}",
    log:
        "results/logs/train_{folder}.log",
    benchmark:
        "results/benchmarks/train_{folder}.tsv"
    conda:
        f"{ENVS}/train.yaml"
    threads: lambda wildcards: PLAN.cores_of(job(wildcards).processes)
    # No parameters: what a training ran on is no reason to run it again. From `gres` on they are Slurm's. The process that
    # launches a training, without which it ends, is only to be seen from its own node.
    resources:
        device=lambda wildcards: PLAN.device(job(wildcards).processes),
        processes=lambda wildcards: PLAN.processes(job(wildcards).processes),
        anew=anew,
        gpu=lambda wildcards: PLAN.counted(PLAN.local_gpus(job(wildcards).processes)),
        gres=lambda wildcards: PLAN.requested(PLAN.local_gpus(job(wildcards).processes)),
        nodes=lambda wildcards: PLAN.nodes_of(job(wildcards).processes),
        mpi=lambda wildcards: "srun" if PLAN.nodes_of(job(wildcards).processes) > 1 else None,
        tasks=lambda wildcards: PLAN.nodes_of(job(wildcards).processes),
        tasks_per_gpu=0,
    params:
        job=lambda wildcards: inline(job(wildcards)),
        code=lambda wildcards: code_of_training(job(wildcards)),
        weights=lambda wildcards: weights_content(job(wildcards)),
    shell:
        'python "$SCRIPTS/launch.py" --device {resources.device} --share $SHARE --processes {resources.processes} --nodes {resources.nodes} '
        '--threads {threads} --restarts $RESTARTS --timeout $PROCESS_TIMEOUT "$SCRIPTS/train.py" --job {params.job:q} '
        "--pack $(dirname {input.pack}) --out $(dirname {output.model}) --code {params.code} "
        "$( (({resources.anew})) && echo --anew) --checkpoint-every $CHECKPOINT_EVERY --timeout $PROCESS_TIMEOUT "
        "--launcher $(({resources.nodes} == 1 ? PPID : 0)) "
        '--live-every "$TRACKING_EVERY" --experiment "$EXPERIMENT" > {log} 2>&1'


rule collect:
    """A training's outputs in the folder of this experiment: links, whose time is their own, to where they lie."""
    input:
        lambda wildcards: [trained(wildcards.set, wildcards.method, wildcards.split, file) for file in IN_PLACE],
    output:
        [f"{HERE.training('{set}', '{method}', '{split}')}/{file}" for file in IN_PLACE],
    log:
        f"{OUT}/logs/collect_{{set}}_{{method}}_split{{split}}.log",
    wildcard_constraints:
        method="|".join(map(re.escape, CONFIG.run.methods)),
    conda:
        f"{ENVS}/data.yaml"
    params:
        folder=HERE.training("{set}", "{method}", "{split}"),
    shell:
        "ln -sfr {input} {params.folder} 2> {log}"


use rule collect as collect_untrained with:
    input:
        lambda wildcards: [trained(wildcards.set, settings.UNTRAINED, 1, file) for file in IN_PLACE],
    output:
        [f"{OUT}/{{set}}/{settings.UNTRAINED}/{file}" for file in IN_PLACE],
    log:
        f"{OUT}/logs/collect_{{set}}_{settings.UNTRAINED}.log",
    params:
        folder=f"{OUT}/{{set}}/{settings.UNTRAINED}",


rule features:
    """Embeds each test image of a split once."""
    input:
        model=lambda wildcards: trained(wildcards.set, wildcards.method, wildcards.split),
        pack=lambda wildcards: pack_of(wildcards.set),
    output:
        f"{HERE.training('{set}', '{method}', '{split}')}/{layout.FEATURES}",
    log:
        f"{OUT}/logs/features_{{set}}_{{method}}_split{{split}}.log",
    benchmark:
        f"{OUT}/benchmarks/features_{{set}}_{{method}}_split{{split}}.tsv"
    conda:
        f"{ENVS}/train.yaml"
    threads: PLAN.embedding_cores
    resources:
        device=PLAN.embedding_device,
        gpu=PLAN.counted(PLAN.embedding_gpus),
        gres=PLAN.requested(PLAN.embedding_gpus),
    params:
        embedding=embedding(),
        code=code("features"),
    shell:
        'python "$SCRIPTS/launch.py" --device {resources.device} --share $SHARE --threads {threads} "$SCRIPTS/features.py" '
        "--model {input.model} --pack $(dirname {input.pack}) --split {wildcards.split} "
        "{params.embedding} --out {output} > {log} 2>&1"
