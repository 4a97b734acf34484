"""The examples that end the help of ``msclnet`` and of each of its commands: lines as a person types them.

Models and images are those that `make run` leaves; other names are of files that a person has.
"""

from __future__ import annotations

TRAINED = "results/regdb/msclnet/split1/model.pt"
IMAGES = "results/regdb/images"

EXAMPLES = {
    "": (
        "msclnet search --help    # each command has its own help, with examples",
        f"msclnet info {TRAINED}",
        f"msclnet search --model {TRAINED} --gallery {IMAGES} --query night.png",
    ),
    "doctor": (
        "msclnet doctor",
        "msclnet doctor --quick --gpus 0",
        "msclnet doctor --config config/paper.yaml config/gpu.yaml --json gpu.json",
    ),
    "check-data": (
        "msclnet check-data sysu /data/SYSU-MM01",
        f"msclnet check-data regdb {IMAGES} --any-size --splits 1 --thorough",
    ),
    "export-npy": (
        "msclnet export-npy sysu /data/SYSU-MM01 npy",
        f"msclnet export-npy regdb {IMAGES} npy --split 1 --any-size",
    ),
    "evaluate": (
        "msclnet evaluate --features theirs.npz --data sysu --mode indoor",
        "msclnet evaluate --features pytorch_result.mat --data regdb --direction visible-to-infrared",
        "msclnet evaluate --features net.npy --data sysu --json    # with net_label.npy and net_cam.npy beside it",
    ),
    "import": (
        "msclnet import sysu_agw_p4_n8_lr_0.1_seed_0_best.t --out agw.pt",
        "msclnet import model_best.pth.tar --out adca.pt",
    ),
    "search": (
        f"msclnet search --model {TRAINED} --gallery {IMAGES} \\\n"
        f"      --query {IMAGES}/Thermal/1/male_front_t_00097_1.bmp --top 5 --out found.html",
        "msclnet search --model agw.pt --gallery ~/day --gallery-modality visible --query ~/night",
    ),
    "demo": (f"msclnet demo --model {TRAINED} --gallery {IMAGES}",),
    "export": (f"msclnet export {TRAINED} --format onnx --out person.onnx",),
    "info": (f"msclnet info {TRAINED}", "msclnet info agw.pt"),
    "completion": (
        "msclnet completion bash > ~/.local/share/bash-completion/completions/msclnet",
        "msclnet completion zsh > ~/.zsh/_msclnet    # in a folder that is in $fpath",
    ),
}
