rule stand_in:
    """Draws people in the exact layout of a real set."""
    output:
        "data/stand-in/{set}/drawn.json",
    log:
        "results/logs/stand_in_{set}.log",
    benchmark:
        "results/benchmarks/stand_in_{set}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: ALL_CORES
    params:
        stand_in=lambda wildcards: inline(CONFIG.stand_in),
        code=code("msclnet/standin", "msclnet/datasets"),
    shell:
        "python $SCRIPTS/draw_stand_in.py --set {wildcards.set} --stand-in {params.stand_in:q} "
        "--out $(dirname {output}) --workers {threads} > {log} 2>&1"


rule check_data:
    """Holds a data set against its contract; an error names the file and the remedy."""
    input:
        lambda wildcards: drawn(wildcards.set),
    output:
        "results/data/{set}_check.json",
    log:
        "results/logs/check_{set}.log",
    benchmark:
        "results/benchmarks/check_{set}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        root=lambda wildcards: root(wildcards.set),
        splits=lambda wildcards: settings.splits(CONFIG, wildcards.set),
        real=lambda wildcards: real_flag(wildcards.set),
        code=code(*READERS),
    shell:
        "python $SCRIPTS/check_data.py --set {wildcards.set} --root {params.root:q} --splits {params.splits} "
        "{params.real} --out {output} > {log} 2>&1"


rule pack:
    """Decodes and resizes each image once, into one memory map a modality."""
    input:
        "results/data/{set}_check.json",
    output:
        manifest="data/packs/{set}/pack.json",
        visible="data/packs/{set}/visible.npy",
        infrared="data/packs/{set}/infrared.npy",
        index="data/packs/{set}/index.csv",
        splits="data/packs/{set}/splits.json",
    log:
        "results/logs/pack_{set}.log",
    benchmark:
        "results/benchmarks/pack_{set}.tsv"
    conda:
        "../../envs/data.yaml"
    threads: ALL_CORES
    params:
        root=lambda wildcards: root(wildcards.set),
        splits=lambda wildcards: settings.splits(CONFIG, wildcards.set),
        real=lambda wildcards: real_flag(wildcards.set),
        height=CONFIG.data.height,
        width=CONFIG.data.width,
        on_bad_image=CONFIG.data.on_bad_image,
        code=code("msclnet/data/pack.py", *READERS),
    shell:
        "python $SCRIPTS/pack.py --set {wildcards.set} --root {params.root:q} --splits {params.splits} {params.real} "
        "--height {params.height} --width {params.width} --on-bad-image {params.on_bad_image} --out $(dirname {output.manifest}) --workers {threads} > {log} 2>&1"
