"""docs/results.md and docs/distributed.md have the tables of the stored results."""

import importlib.util
from pathlib import Path

import pytest

from amfs_lab.experiments.benchmark_rows import STEPS, TIME, over_all, shares, verdict
from amfs_lab.experiments.result import Result
from amfs_lab.stats import Interval

PLACE = Path(__file__).resolve().parents[1] / "docs" / "results.py"
SPEC = importlib.util.spec_from_file_location("results", PLACE)
assert SPEC is not None
assert SPEC.loader is not None
results = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(results)


def test_the_page_has_the_tables_of_the_stored_results():
    page = results.PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- end -->") == 19
    for each in results.PAGES:
        page = each.read_text(encoding="utf-8")
        assert results.written(page) == page, "run `python docs/results.py`"


def test_a_number_that_was_changed_by_hand_is_found():
    page = results.PAGE.read_text(encoding="utf-8")
    assert results.written(page.replace("| maml | 1163 |", "| maml | 9163 |")) == page


def test_an_unknown_table_is_refused():
    with pytest.raises(Exception, match=r"nothing"):
        results.written("<!-- nothing -->\n<!-- end -->")


def test_the_readme_agrees_with_the_results():
    """The claims in the README agree with the stored results."""
    page = (PLACE.parents[1] / "README.md").read_text(encoding="utf-8")
    told = " ".join(page.split())
    bench = results.json.loads((results.STORED / "bench-cpu.json").read_text(encoding="utf-8"))
    accuracy = results.EXPERIMENTS["accuracy"].load(results.STORED / "accuracy-omniglot")
    steps = {run["method"]: run["step"] for run in accuracy.training}
    assert steps["maml"] < steps["i-amfs"] / 2
    assert "I-AMFS made more than twice as many meta-steps as MAML" in told
    assert accuracy.summary["maml 5w1s transductive"]["i-amfs minus it"]["mean"] > 0

    def medians(over: str, under: str) -> list[float]:
        rows = [{name: own["seconds"] for name, own in shape.items()} for shape in bench["meta-steps"].values()]
        return [results.tables.Times(row).ratio(over, under)[0] for row in rows]

    assert "MAML with five steps takes 3 to 10 times as long" in told
    times = medians("maml", "i-amfs")
    assert (round(min(times)), round(max(times))) == (3, 10)
    assert "takes about 0.7 of the time" in told
    precision = results.table("precision-glyphs").splitlines()[2:]
    assert all(row.endswith(("| 0.68 |", "| 0.70 |", "| 0.72 |")) for row in precision)


def test_the_protocol_of_figure_2_in_the_text_is_that_of_the_stored_result():
    told = " ".join(results.PAGE.read_text(encoding="utf-8").split())
    config = results.EXPERIMENTS["figure2"].load(results.STORED / "figure2-glyphs").config
    assert "trained for three minutes on the shipped glyphs, 5-way 1-shot, with three seeds" in told
    assert "the same 600 unseen episodes" in told
    assert (config["seconds"], config["seeds"], config["episodes"]) == (180.0, 3, 600)
    assert (config["episode"]["ways"], config["episode"]["shots"]) == (5, 1)


def difference_in(result: Result, row: str, other: str, column: str, equal: str) -> Interval:
    """The accuracy of a row minus that of another one, without a correction for the number of rows."""
    names = (f"{each} {column} transductive {equal}" for each in (row, other))
    one, two = (shares(result.rows, result.config, name) for name in names)
    return over_all(one - two)


def test_the_text_on_table_1_agrees_with_the_stored_rows():
    """Protocol, and each sentence below "What the rows say"."""
    told = " ".join(results.PAGE.read_text(encoding="utf-8").split())
    result = results.loaded("table1-glyphs")
    config = result.config
    assert (config["source"], config["split"], config["width"], config["tasks"]) == ("glyphs", "test", 32, 4)
    assert config["precision"] == "float32"
    assert "A Conv-4 with 32 filters in float32, four tasks in a meta-step" in told
    assert (config["baseline_steps"], config["seeds"], config["episodes"]) == (600, 3, 600)
    assert "as long as 600 steps of supervised training take" in told
    assert "Each method was trained three times. All learners were evaluated on the same 600 episodes" in told
    assert len(config["rates"]) == 4
    assert "tried the same four outer learning rates" in told
    ways = {name: training["episode"]["ways"] for name, training in config["variants"].items()}
    assert {name for name, number in ways.items() if number == 5} == {
        *("maml", "maml+learned-rates", "o-amfs", "fo-maml", "anil", "i-amfs+5-way")
    }

    def gap(row: str, shape: str = "5w1s") -> Interval:
        return Interval(**result.summary[f"{row} {shape} transductive time"]["ahead"])

    def difference(row: str, other: str, equal: str) -> Interval:
        return difference_in(result, row, other, "5w1s", equal)

    assert "I-AMFS, AMFS, prototypes, R2-D2 and DKT are better than MAML" in told
    for row in ("i-amfs", "amfs", "prototypes", "r2d2", "dkt"):
        assert gap(row).low > 0
        assert gap(row, "5w5s").low > 0
    assert "differ by less than a point on 5-way 1-shot tasks, and the comparison is unclear" in told
    equal = difference("i-amfs+5-way", "maml", STEPS)
    assert abs(equal.mean) < 0.01
    assert verdict(equal) == "unclear"
    assert "less than a sixth of MAML's time" in told
    assert config["prices"]["i-amfs+5-way"] < config["prices"]["maml"] / 6
    assert "neither o-amfs against maml nor amfs against i-amfs" in told
    for row, other in (("o-amfs", "maml"), ("amfs", "i-amfs")):
        assert verdict(difference(row, other, TIME)) == "unclear"
    assert "Their accuracies on 5-way 1-shot tasks differ by less than half a point" in told
    assert abs(difference("dkt", "i-amfs", TIME).mean) < 0.005
    assert "more than six times as many meta-steps" in told
    assert config["steps"]["i-amfs+5-way"] > 6 * config["steps"]["maml"]
    assert gap("i-amfs+5-way").low > 0


def test_the_text_on_table_2_agrees_with_the_stored_rows():
    told = " ".join(results.PAGE.read_text(encoding="utf-8").split("## Table 2")[1].split("\n## ")[0].split())
    result, first = results.loaded("table2-glyphs"), results.loaded("table1-glyphs")
    assert {(each["source"], each["split"], each["unseen_by"]) for each in result.config["columns"].values()} == {
        ("omniglot", "validation", "glyphs")
    }
    for same in ("tries", "steps", "prices", "seeds", "variants", "episodes"):
        assert result.config[same] == first.config[same]

    def word(row: str, other: str, shape: str, equal: str = TIME) -> str:
        return verdict(difference_in(result, row, other, f"omniglot:{shape}", equal))

    def corrected(shape: str) -> str:
        return verdict(Interval(**result.summary[f"i-amfs omniglot:{shape} transductive time"]["ahead"]))

    assert "the interval of I-AMFS minus MAML is above zero on 5-way 1-shot tasks" in told
    assert word("i-amfs", "maml", "5w1s") == "better"
    assert "The wider interval, which is corrected for the number of rows, contains zero" in told
    assert corrected("5w1s") == "unclear"
    assert "On 5-way 5-shot tasks I-AMFS is better, also with the correction" in told
    assert corrected("5w5s") == "better"
    assert "five gradient steps (maml) are better than one solve (i-amfs+5-way) on 5-way 1-shot tasks" in told
    assert word("i-amfs+5-way", "maml", "5w1s", STEPS) == "worse"
    assert "With the correction for the number of rows, this difference is unclear" in told
    gap = result.summary[f"i-amfs+5-way omniglot:5w1s transductive {STEPS}"]["ahead"]
    assert verdict(Interval(**gap)) == "unclear"
    assert "On 5-way 5-shot tasks one solve is better" in told
    assert word("i-amfs+5-way", "maml", "5w5s", STEPS) == "better"
    assert "neither o-amfs against maml nor amfs against i-amfs" in told
    assert "I-AMFS and prototypes do not differ clearly" in told
    for row, other in (("o-amfs", "maml"), ("amfs", "i-amfs"), ("i-amfs", "prototypes")):
        for shape in ("5w1s", "5w5s"):
            assert word(row, other, shape) == "unclear"


def test_the_text_on_table_4_agrees_with_the_stored_rows():
    told = " ".join(results.PAGE.read_text(encoding="utf-8").split("## Table 4")[1].split("\n## ")[0].split())
    result, first = results.loaded("table4-glyphs"), results.loaded("table1-glyphs")
    same = ("source", "split", "width", "tasks", "baseline_steps", "seeds", "episodes", "rates", "columns")
    assert {name: result.config[name] for name in same} == {name: first.config[name] for name in same}
    assert not {"dkt", "prototypes"} & set(result.config["variants"])

    def loss(method: str, column: str, equal: str) -> Interval:
        version = "fo-maml" if method == "maml" else f"{method}+first-order"
        return difference_in(result, method, version, column, equal)

    def price(row: str) -> float:
        return result.config["prices"][row]

    assert "The first-order version of I-AMFS loses less than a point on 5-way tasks" in told
    assert "No comparison with I-AMFS is clear" in told
    for equal in (TIME, STEPS):
        assert all(loss("i-amfs", column, equal).mean < 0.01 for column in ("5w1s", "5w5s"))
        assert {verdict(loss("i-amfs", column, equal)) for column in result.config["columns"]} == {"unclear"}
    assert "as long as the meta-step of I-AMFS, to within three per cent" in told
    assert abs(price("i-amfs+first-order") / price("i-amfs") - 1) < 0.03
    assert "FO-MAML needs less than half of MAML's time" in told
    assert price("fo-maml") < price("maml") / 2
    assert "by four points after equal time, and by six points after equal meta-steps" in told
    for equal, points in ((TIME, 4), (STEPS, 6)):
        assert verdict(loss("maml", "5w1s", equal)) == "better"
        assert round(100 * loss("maml", "5w1s", equal).mean) == points
    assert "With the correction for the number of rows, the difference after equal time is unclear" in told
    assert verdict(Interval(**result.summary[f"fo-maml 5w1s transductive {TIME}"]["ahead"])) == "unclear"
    assert "On 5-way 5-shot tasks, FO-MAML is better than MAML after equal time" in told
    assert verdict(loss("maml", "5w5s", TIME)) == "worse"
    assert (
        "R2-D2 on 20-way 1-shot tasks has the largest loss of all: its first-order version loses over ten points"
        in told
    )
    others = [name for name in result.config["variants"] if f"{name}+first-order" in result.config["variants"]]
    for equal in (TIME, STEPS):
        r2d2 = loss("r2d2", "20w1s", equal)
        assert r2d2.low > 0.10
        for name in {*others, "maml"}:
            for column in ("5w1s", "5w5s", "20w1s"):
                if not (column == "20w1s" and name in ("maml", "o-amfs", "anil")):  # a head with five outputs
                    assert loss(name, column, equal).mean <= r2d2.mean
    assert "R2-D2 learns its λ" in told
    assert result.config["variants"]["r2d2"]["inner"]["learn_lam"]


def test_the_text_on_the_ablation_agrees_with_the_stored_rows():
    told = " ".join(results.PAGE.read_text(encoding="utf-8").split("## Ablation")[1].split("\n## ")[0].split())
    result = results.loaded("ablation-glyphs")

    def word(row: str, shape: str) -> str:
        return verdict(Interval(**result.summary[f"{row} {shape} transductive {TIME}"]["ahead"]))

    rules = [
        name for name in result.config["variants"] if name in ("o-amfs", "amfs") or name.endswith(("unit", "mean"))
    ]
    assert len(rules) == 6
    assert "No aggregation rule is better than the mean gradient" in told
    assert "better" not in {word(row, shape) for row in rules for shape in ("5w1s", "5w5s")}
    assert "With MAML, o-amfs-unit is worse on 5-way 1-shot tasks" in told
    assert word("maml+o-amfs-unit", "5w1s") == "worse"
    assert "(maml+rescaled) is not clearly worse" in told
    assert word("maml+rescaled", "5w1s") == "unclear"
    assert "A learned λ, μ and γ make no clear difference" in told
    for name in ("learned-lam", "mu", "gamma"):
        assert {word(f"i-amfs+{name}", shape) for shape in ("5w1s", "5w5s", "20w1s")} == {"unclear"}
    assert "The RBF kernel is better than the linear kernel and the cosine kernel on 20-way 1-shot tasks" in told
    assert {word(f"i-amfs+{name}", "20w1s") for name in ("linear", "cosine")} == {"worse"}
