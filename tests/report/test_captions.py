"""The report's captions: they say of which images, over what, and how many, and docutils has nothing to say of them."""

from __future__ import annotations

import jinja2
import pytest
from docutils.core import publish_string
from docutils.utils import Reporter

from msclnet import config as settings
from msclnet.results.captions import words
from tests.conftest import ROOT


class Job:
    """What Snakemake hands to a caption."""

    def __init__(self, config: settings.Config, name: str, data: str, study: str = "ablation") -> None:
        self.config = settings.plain(config)
        self.wildcards = type("Wildcards", (), {"set": name, "study": study})
        known = {"data": data, "methods": ["untrained", *config.run.methods]}
        self.params = type("Params", (), known | ({"words": words(config, name)} if name else {}))


def rendered(caption: str, job: Job) -> str:
    """The caption as text, a warning of docutils being an error, as it would stand red in the report."""
    source = (ROOT / "workflow/report" / f"{caption}.rst").read_text()
    text = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(source).render(snakemake=job)
    overrides = {"halt_level": Reporter.WARNING_LEVEL, "report_level": Reporter.SEVERE_LEVEL}
    publish_string(text, writer="html", settings_overrides=overrides)
    return " ".join(text.split())


@pytest.mark.parametrize("caption", ["embedding", "distances", "cameras", "ranked", "activation"])
@pytest.mark.parametrize(("name", "title"), [("regdb", "RegDB, split 1"), ("sysu", "SYSU-MM01")])
def test_a_caption_says_of_which_images_and_how_many(
    default: settings.Config, caption: str, name: str, title: str
) -> None:
    drawn = rendered(caption, Job(default, name, "stand-in"))
    assert title in drawn
    assert "**Drawn stand-in images.**" in drawn
    assert "no result on the real set" in drawn
    how_many = {
        "embedding": "at most 7 identities",
        "ranked": "The 2 queries",
        "activation": "at most 4 test identities",
        "distances": "Above each panel: the number of pairs",
        "cameras": "how many do in each cell, and the title in all",
    }
    assert how_many[caption] in drawn
    assert "Images: the real SYSU-MM01." in rendered(caption, Job(default, name, "SYSU-MM01"))


@pytest.mark.parametrize("caption", ["cmc", "losses", "summary", "trials", "differences"])
@pytest.mark.parametrize(("name", "title"), [("regdb", "RegDB"), ("sysu", "SYSU-MM01")])
def test_a_caption_says_of_which_data_and_how_many_trials(
    default: settings.Config, caption: str, name: str, title: str
) -> None:
    drawn = rendered(caption, Job(default, name, "stand-in"))
    assert title in drawn
    assert "**Drawn stand-in images.**" in drawn
    assert "no result on the real set" in drawn
    assert ("one training" if (caption, name) == ("losses", "sysu") else "10 ") in drawn
    real = rendered(caption, Job(default, name, title))
    assert f"Images: the real {title}." in real
    assert "stand-in" not in real


@pytest.mark.parametrize(
    ("caption", "printed"),
    [
        ("summary", "Those beside *agw* are of AGW*, the paper's baseline"),
        ("distances", "a sigma of 0.095 for the baseline, of 0.26 and 0.088 for MSCLNet"),
        ("study ablation", "of one run on the real SYSU-MM01"),
        ("study sensitivity", "at best about 74.4, and 69.9 at a lambda_global of 1.5, where Table 1 has 76.99"),
    ],
)
def test_where_print_stands_beside_ours_a_line_says_how_its_epoch_was_chosen(
    default: settings.Config, caption: str, printed: str
) -> None:
    caption, *study = caption.split()
    text = rendered(caption, Job(default, "regdb", "stand-in", *study))
    assert printed in text
    assert "The paper's baselines select the best epoch by the test set; ours is the last epoch" in text


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"terms": ((), ("t",))}, "Terms of *msclnet* added to what no variant lists, on RegDB"),
        ({"vary": {"train.rate": (0.1,)}}, "*msclnet* with keys of the configuration varied, on RegDB"),
    ],
)
def test_a_caption_of_ones_own_study_says_nothing_of_the_paper(default: settings.Config, keys: dict, said: str) -> None:
    own = settings.build(
        settings.Study,
        {"set": "regdb", "splits": (1, 2), "method": "msclnet", "epochs": 14, "seeds": (0, 1, 2), **keys},
    )
    text = rendered("study", Job(settings.replace(default, studies={"mine": own}), "regdb", "stand-in", "mine"))
    assert said in text
    assert "over 6 training(s) of each variant, 3 seed(s) on 2 split(s), 14 epochs each" in text
    assert "the first row" in text if "terms" in keys else "the method as configured" in text
    assert "paper" not in text


def test_the_caption_of_the_losses_tells_of_a_validation_where_there_is_one(default: settings.Config) -> None:
    validated = settings.replace(default, train=settings.replace(default.train, validate_every=1))
    assert "on training identities that were held out" in rendered("losses", Job(validated, "regdb", "stand-in"))
    assert "held out" not in rendered("losses", Job(default, "regdb", "stand-in"))


def test_the_front_page_says_which_set_is_drawn(default: settings.Config, paper: settings.Config) -> None:
    assert rendered("workflow", Job(default, "", "")).count("**drawn stand-in images**") == 2
    real = rendered("workflow", Job(paper, "", ""))
    assert "- *regdb*: the real images. Splits: 10, each a training of its own. - *sysu*: the real images." in real
    assert "stand-in" not in real
