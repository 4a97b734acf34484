rule train:
    """One training: a method on a split, on as many processes as configured; continues where it was interrupted."""
    input:
        pack="data/packs/{set}/pack.json",
        tracking=ancient("results/tracking/ready.json"),
    output:
        model="results/{set}/{method}/split{split}/model.pt",
        metrics="results/{set}/{method}/split{split}/metrics.jsonl",
        config="results/{set}/{method}/split{split}/config.yaml",
    log:
        "results/logs/train_{set}_{method}_split{split}.log",
    benchmark:
        "results/benchmarks/train_{set}_{method}_split{split}.tsv"
    wildcard_constraints:
        method="|".join([*map(re.escape, CONFIG.run.methods), f"{studies.FOLDER}/[^/]+/seed[0-9]+"]),
    conda:
        "../../envs/train.yaml"
    threads: training_threads
    # No parameters: what a training ran on is no reason to run it again. From `gres` on they are Slurm's. The process that
    # launches a training, without which it ends, is only to be seen from its own node.
    resources:
        device=device,
        processes=processes,
        gpu=lambda wildcards: counted(training_gpus(wildcards)),
        gres=lambda wildcards: requested(training_gpus(wildcards)),
        nodes=NODES,
        mpi="srun" if NODES > 1 else None,
        tasks=NODES,
        tasks_per_gpu=0,
    params:
        job=job,
        code=code(*NETWORK, *BATCHES, "msclnet/losses", "msclnet/training/schedule.py", "msclnet/training/process_group.py"),
    shell:
        "python $SCRIPTS/launch.py --device {resources.device} --processes {resources.processes} --nodes {resources.nodes} "
        "--threads {threads} --restarts $RESTARTS $SCRIPTS/train.py --job {params.job:q} "
        "--pack $(dirname {input.pack}) --out $(dirname {output.model}) --code {params.code} "
        "--checkpoint-every $CHECKPOINT_EVERY --timeout $PROCESS_TIMEOUT "
        "--launcher $(({resources.nodes} == 1 ? PPID : 0)) "
        '--terminal "$TERMINAL" --uri="$TRACKING_URI" --live-every "$TRACKING_EVERY" > {log} 2>&1'


rule untrained:
    """The network before its first step, the floor of the tables."""
    input:
        pack="data/packs/{set}/pack.json",
    output:
        model="results/{set}/untrained/model.pt",
        metrics="results/{set}/untrained/metrics.jsonl",
        config="results/{set}/untrained/config.yaml",
    log:
        "results/logs/untrained_{set}.log",
    benchmark:
        "results/benchmarks/untrained_{set}.tsv"
    conda:
        "../../envs/train.yaml"
    params:
        job=untrained_job,
        code=code(*NETWORK),
    shell:
        "python $SCRIPTS/launch.py --device cpu --threads {threads} $SCRIPTS/train.py --job {params.job:q} "
        "--pack $(dirname {input.pack}) --out $(dirname {output.model}) --code {params.code} > {log} 2>&1"


rule features:
    """Embeds each test image of a split once."""
    input:
        model=model_of,
        pack="data/packs/{set}/pack.json",
    output:
        "results/{set}/{method}/split{split}/features.npz",
    log:
        "results/logs/features_{set}_{method}_split{split}.log",
    benchmark:
        "results/benchmarks/features_{set}_{method}_split{split}.tsv"
    conda:
        "../../envs/train.yaml"
    threads: share_of_cores(CONFIG.train.threads, EMBEDDING_GPUS or GPUS)
    resources:
        device=EMBEDDING_DEVICE,
        gpu=counted(EMBEDDING_GPUS),
        gres=requested(EMBEDDING_GPUS),
    params:
        batch=CONFIG.evaluate.batch,
        threads=CONFIG.train.threads,
        flip="--flip" if CONFIG.evaluate.flip else "",
        code=code("msclnet/evaluation/embedding.py", "msclnet/model"),
    shell:
        "python $SCRIPTS/launch.py --device {resources.device} --threads {threads} $SCRIPTS/features.py "
        "--model {input.model} --pack $(dirname {input.pack}) --split {wildcards.split} "
        "--batch {params.batch} --threads {params.threads} {params.flip} --out {output} > {log} 2>&1"
