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
        set=drawn_by(lambda config, name: name),
        options=drawn_by(lambda config, name: inline(config.stand_in.of(name))),
        seed=drawn_by(lambda config, name: config.stand_in.seed),
        content=drawn_by(lists_content),
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
        set=packed(lambda config, name: name),
        root=packed(shared.root),
        content=packed(root_content),
        splits=packed(lambda config, name: SETS.get(name).every_split),
        real=packed(lambda config, name: "--real" if shared.held_to_the_real(config, name) else ""),
        on_bad_image=packed(lambda config, name: config.data.on_bad_image),
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
        set=packed(lambda config, name: name),
        root=packed(shared.root),
        content=packed(root_content),
        splits=packed(lambda config, name: SETS.get(name).every_split),
        real=packed(lambda config, name: "--real" if shared.held_to_the_real(config, name) else ""),
        height=packed(lambda config, name: config.data.height),
        width=packed(lambda config, name: config.data.width),
        on_bad_image=packed(lambda config, name: config.data.on_bad_image),
        deep_range=packed(deep_range),
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
