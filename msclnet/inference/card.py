"""The model card that goes with every exported model (Mitchell et al., Model Cards for Model Reporting, 2019)."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

from msclnet.config import STAND_IN
from msclnet.core import yaml_text
from msclnet.core.files import write_text
from msclnet.datasets.table import SETS
from msclnet.evaluation.embedding import image_size
from msclnet.inference.info import Measured, kept, network, scores, trained_on
from msclnet.model.files import Saved
from msclnet.results.scores import Row

WARNING = """

**Stand-in: every image was drawn by a program. The scores below were measured on drawn people and are no result on the
real set; the model is for trying the software, not for finding anyone.**"""
LIMITS = """- People, places and cameras other than those of the training data: expect less, and measure it on your own
  images first.
- One person an image, upright, cropped; no detection, no tracking. Clothes carry much of what is recognised, so another
  day is harder.
- The modality of each image must be known. A wrong one gives a feature without meaning, and no error.
- A score is a similarity, not the probability that two images show one person."""
RESPONSIBLE = """Searching for people by their appearance processes biometric data of people who mostly did not agree to
it. In many places it needs a legal basis, an assessment of its impact and human oversight, and some uses are forbidden
(in the European Union: GDPR, Article 9; AI Act, Article 5). Before use, establish that basis and weigh the interests of
those in the images; keep images and features no longer than needed; log searches. The output is a ranked list of leads:
the nearest image is shown even when the person is absent. No decision about anyone may rest on it alone. Error rates by
age, sex, skin tone, dress or disability were not measured; nothing here says that they are equal."""


def write_card(path: Path, file: str, model: Path, saved: Saved, verification: str) -> None:
    """Writes the card of the export ``file`` of ``model`` to ``path``; see ``card``."""
    write_text(path, card(file, saved, scores(model, saved), verification))


def card(file: str, saved: Saved, measured: Measured | None, verification: str) -> str:
    """Markdown: what the model is, its data, protocol, scores with spread, limits and responsible use."""
    origin = saved.origin
    height, width = image_size(saved.network)
    title = ", ".join(filter(None, (origin.get("method_name"), _data(origin))))
    return f"""# Model card: {title}

`{file}` finds the images of a person in the other modality, visible or infrared. From MSCLNet (Zhang et al., ECCV 2022)
as implemented by msclnet; Apache-2.0.

- network: {network(saved)}
- input: `images`, uint8 [batch, {height}, {width}, 3], RGB, one whole person each, resized (Lanczos), not normalised;
  `modality`, int64 [batch], 0 visible, 1 infrared
- output: `bn` (compare these) and `pooled`, float32 [batch, {saved.network.backbone.channels}], rows of unit length, to
  be compared by their products
- against the original, at export: {verification}

## Data

{". ".join(filter(None, (trained_on(origin), kept(saved))))}.{WARNING if origin.get("data") == STAND_IN else ""}

## Protocol

{_protocol(origin.get("set", ""))}

## Scores

{_scores(measured)}

## Limits

{LIMITS}

## Responsible use

{RESPONSIBLE}

## Configuration

```yaml
{yaml_text.write(origin).strip()}
```
"""


def _data(origin: dict[str, Any]) -> str:
    if origin.get("data") == STAND_IN:
        return "trained on drawn people (stand-in)"
    return origin.get("data") or origin.get("imported") or "a network"


def _protocol(name: str) -> str:
    if name in SETS.names():
        return textwrap.fill(SETS.get(name).protocol, 120)
    return "That of the scores below; on what the model was trained is not known."


def _scores(measured: Measured | None) -> str:
    if not measured:
        return "Not measured: no scores.json lay beside the model at export."
    names, table = measured.setting, measured.rows
    heads = [*names, "Rank-1", "Rank-10", "mAP", "mINP"]
    lines = [
        [*(row[name] for name in names), *(_with_spread(row, metric) for metric in ("rank1", "rank10", "mAP", "mINP"))]
        for row in table
    ]
    body = "\n".join(f"| {' | '.join(map(str, line))} |" for line in (heads, ["---"] * len(heads), *lines))
    data = "stand-in (drawn people)" if table[0]["data"] == STAND_IN else table[0]["data"] or "data not recorded"
    return f"On {data}, in percent, {measured.spread}.\n\n{body}"


def _with_spread(row: Row, metric: str) -> str:
    deviation = row.get(f"{metric}_std")
    return f"{row[metric]:.2f}" + (f" ± {deviation:.2f}" if deviation is not None else "")
