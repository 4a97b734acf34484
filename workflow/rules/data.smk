rule stand_in:
    """Draws people in the exact layout of a real set."""
    output:
        "data/stand-in/{folder}/drawn.json",
    log:
        "results/logs/stand_in_{folder}.log",
    benchmark:
        "results/benchmarks/stand_in_{folder}.tsv"
    conda:
        f"{ENVS}/data.yaml"
    threads: ALL_CORES
    params:
        set=lambda wildcards: STAND_INS[wildcards.folder],
        options=lambda wildcards: inline(CONFIG.stand_in.of(STAND_INS[wildcards.folder])),
        content=lambda wildcards: lists_content(STAND_INS[wildcards.folder]),
        seed=CONFIG.stand_in.seed,
        code=code("draw_stand_in", without=AROUND_DATA),
    shell:
        'python "$SCRIPTS/draw_stand_in.py" --set {params.set} --options {params.options:q} --seed {params.seed} '
        "--out $(dirname {output}) --workers {threads} > {log} 2>&1"


rule check_data:
    """Holds a data set against its contract; an error names the file and the remedy."""
    input:
        drawn,
    output:
        "data/packs/{folder}/check.json",
    log:
        "results/logs/check_{folder}.log",
    benchmark:
        "results/benchmarks/check_{folder}.tsv"
    conda:
        f"{ENVS}/data.yaml"
    params:
        set=lambda wildcards: PACKS[wildcards.folder],
        root=packed(shared.root),
        content=lambda wildcards: root_content(PACKS[wildcards.folder]),
        splits=packed(settings.splits),
        real=packed(lambda config, name: "--real" if shared.held_to_the_real(config, name) else ""),
        on_bad_image=CONFIG.data.on_bad_image,
        code=code("check_data", without=AROUND_DATA),
    shell:
        'python "$SCRIPTS/check_data.py" --set {params.set} --root={params.root:q} --splits {params.splits} '
        "{params.real} --on-bad-image {params.on_bad_image} --out {output} > {log} 2>&1"


rule pack:
    """Decodes and resizes each image once, into one memory map a modality."""
    input:
        "data/packs/{folder}/check.json",
    output:
        manifest="data/packs/{folder}/pack.json",
        visible="data/packs/{folder}/visible.npy",
        infrared="data/packs/{folder}/infrared.npy",
        index="data/packs/{folder}/index.csv",
        splits="data/packs/{folder}/splits.json",
    log:
        "results/logs/pack_{folder}.log",
    benchmark:
        "results/benchmarks/pack_{folder}.tsv"
    conda:
        f"{ENVS}/data.yaml"
    threads: ALL_CORES
    params:
        set=lambda wildcards: PACKS[wildcards.folder],
        root=packed(shared.root),
        content=lambda wildcards: root_content(PACKS[wildcards.folder]),
        splits=packed(settings.splits),
        real=packed(lambda config, name: "--real" if shared.held_to_the_real(config, name) else ""),
        height=CONFIG.data.height,
        width=CONFIG.data.width,
        on_bad_image=CONFIG.data.on_bad_image,
        deep_range=f"--deep-range {' '.join(map(str, CONFIG.data.deep_range))}" if CONFIG.data.deep_range else "",
        code=code("pack", without=AROUND_DATA),
    shell:
        'python "$SCRIPTS/pack.py" --set {params.set} --root={params.root:q} --splits {params.splits} {params.real} '
        "--height {params.height} --width {params.width} --on-bad-image {params.on_bad_image} "
        "{params.deep_range} --out $(dirname {output.manifest}) --workers {threads} > {log} 2>&1"


rule link_data:
    """Where an experiment's images and pack lie: links beside its results, for people and for commands."""
    input:
        lambda wildcards: pack_of(wildcards.set),
    output:
        f"{OUT}/{{set}}/data.json",
    log:
        f"{OUT}/logs/link_data_{{set}}.log",
    conda:
        f"{ENVS}/data.yaml"
    params:
        root=of_set(shared.root),
        pack=of_set(shared.pack),
        said=lambda wildcards: json.dumps(
            {"images": shared.root(CONFIG, wildcards.set), "pack": shared.pack(CONFIG, wildcards.set)}
        ),
    shell:
        "( ln -sfnr -- {params.root:q} $(dirname {output})/images; ln -sfnr {params.pack} $(dirname {output})/pack; "
        "echo {params.said:q} > {output} ) 2> {log}"
