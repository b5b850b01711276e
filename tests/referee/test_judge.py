"""`upgate.judge`: verdicts as SciPy gives them, and one sentence for all that cannot be judged."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.weightstats import ttost_paired

import upgate
from upgate.errors import UserError
from upgate.stats.random_effects import random_effects
from upgate.stats.two_way import two_way

ASK = {"metric": "accuracy", "group": "model", "baseline": "lstm"}


def table(seeds: int = 8, shift: float = 0.02, noise: float = 0.004, **more: float) -> pd.DataFrame:
    """A row per model and seed; seeds matter more than models."""
    rng = np.random.default_rng(0)
    base = rng.normal(0.8, 0.02, seeds)
    shifts = {"lstm": 0.0, "gru": shift} | more
    rows = [
        {"model": model, "seed": seed, "accuracy": base[seed] + by + rng.normal(0, noise)}
        for model, by in shifts.items()
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows).sample(frac=1, random_state=1).reset_index(drop=True)


def scores(frame: pd.DataFrame, model: str) -> np.ndarray:
    return frame[frame["model"] == model].sort_values("seed")["accuracy"].to_numpy()


def test_pairs_are_judged_as_scipy_does() -> None:
    frame = table()
    (row,) = upgate.judge(frame, **ASK).verdicts.to_dict("records")
    test = stats.ttest_rel(scores(frame, "gru"), scores(frame, "lstm"))
    interval = test.confidence_interval()
    found = [row[key] for key in ("p", "low", "high")]
    assert found == pytest.approx([test.pvalue, interval.low, interval.high])
    assert row["verdict"] == "helps" and row["n"] == 8 and row["p_holm"] == row["p"]


def test_lower_is_better_where_the_name_or_the_user_says_so() -> None:
    frame = table()
    assert upgate.judge(frame, **ASK, better="lower").verdicts["verdict"].item() == "hurts"
    loss = frame.rename(columns={"accuracy": "val_loss"})
    judgement = upgate.judge(loss, **ASK | {"metric": "val_loss"})
    assert judgement.verdicts["verdict"].item() == "hurts"
    assert "val_loss is taken as better when lower" in judgement.sentence


def test_equivalence_is_two_one_sided_tests() -> None:
    frame = table(seeds=14, shift=0.0)
    margin = 0.01
    p = ttost_paired(scores(frame, "gru"), scores(frame, "lstm"), -margin, margin)[0]
    judgement = upgate.judge(frame, **ASK, smallest_effect=margin)
    assert p < 0.05 and judgement.verdicts["verdict"].item() == "equivalent"
    assert "equivalent" not in upgate.judge(frame, **ASK, smallest_effect=1e-5).verdicts["verdict"]


def test_several_groups_are_one_family_under_holm() -> None:
    frame = table(cnn=0.001, rnn=-0.03)
    judgement = upgate.judge(frame, **ASK)
    rows = judgement.verdicts.set_index("group")
    raw = {
        name: stats.ttest_rel(scores(frame, name), scores(frame, "lstm")).pvalue
        for name in ("cnn", "gru", "rnn")
    }
    last = max(raw, key=lambda name: raw[name])
    assert rows.loc[last, "p_holm"] == pytest.approx(raw[last])
    assert rows["p_holm"].min() == pytest.approx(3 * min(raw.values()))
    assert "3 groups are judged as one family (Holm)" in judgement.sentence


def test_unpaired_runs_get_welchs_interval_and_hear_what_pairing_saves() -> None:
    frame = table()
    judgement = upgate.judge(frame, **ASK, pair="none")
    row = judgement.verdicts.iloc[0]
    test = stats.ttest_ind(scores(frame, "gru"), scores(frame, "lstm"), equal_var=False)
    interval = test.confidence_interval()
    assert [row.p, row.low, row.high] == pytest.approx([test.pvalue, interval.low, interval.high])
    paired = stats.ttest_rel(scores(frame, "gru"), scores(frame, "lstm")).confidence_interval()
    saved = 1 - (paired.high - paired.low) / (interval.high - interval.low)
    assert f"would make the interval of gru {100 * saved:.0f}% narrower" in judgement.sentence
    unknown = upgate.judge(frame.drop(columns="seed"), **ASK).sentence
    assert (
        "What pairing would have saved is not known" in unknown and "unpaired, 8 and 8" in unknown
    )


def test_folds_are_averaged_within_a_seed() -> None:
    folds = [table().assign(fold=fold) for fold in range(3)]
    folds[1]["accuracy"] += 0.1
    frame = pd.concat(folds, ignore_index=True)
    row = upgate.judge(frame, **ASK).verdicts.iloc[0]
    alone = upgate.judge(table(), **ASK).verdicts.iloc[0]
    assert row.n == 8 and [row.effect, row.p] == pytest.approx([alone.effect, alone.p])


def test_folds_alone_need_the_corrected_variance() -> None:
    frame = table(seeds=5).rename(columns={"seed": "fold"})
    judgement = upgate.judge(frame, **ASK)
    assert judgement.verdicts["verdict"].item() == "undecided"
    assert "Folds share training data" in judgement.sentence
    row = upgate.judge(frame, **ASK, test_share=0.2).verdicts.iloc[0]
    folds = frame.rename(columns={"fold": "seed"})
    d = scores(folds, "gru") - scores(folds, "lstm")
    t = d.mean() / np.sqrt((1 / 5 + 0.2 / 0.8) * d.var(ddof=1))
    assert row.p == pytest.approx(2 * stats.t.sf(abs(t), 4)) and row.verdict == "helps"


def test_a_diverged_run_is_the_worst_and_is_counted() -> None:
    frame = table().assign(status="FINISHED")
    at = frame.index[(frame["model"] == "gru") & (frame["seed"] == 2)]
    frame.loc[at, ["accuracy", "status"]] = [np.nan, "FAILED"]
    judgement = upgate.judge(frame, **ASK)
    row = judgement.verdicts.iloc[0]
    assert row.diverged == 1 and row.verdict == "undecided" and row.n == 8
    assert "Diverged runs: 1." in judgement.sentence
    assert judgement.reliability.iloc[0][["collapsed", "worst", "worst_unit"]].tolist() == [
        1,
        -np.inf,
        "2",
    ]
    json.loads(judgement.to_json())
    assert upgate.judge(frame, **ASK, pair="none").verdicts["diverged"].item() == 1


def test_one_answer_over_data_sets_is_that_of_random_effects() -> None:
    shifts = {"a": 0.01, "b": 0.02, "c": 0.03, "d": 0.02}
    frame = pd.concat([table(shift=by).assign(data=name) for name, by in shifts.items()])
    judgement = upgate.judge(frame, **ASK, over="data")
    ds = [
        scores(part, "gru") - scores(part, "lstm") for _, part in frame.groupby("data", sort=True)
    ]
    expected = random_effects(
        np.array([d.mean() for d in ds]), np.array([d.var(ddof=1) / len(d) for d in ds])
    )
    row = judgement.verdicts.iloc[0]
    found = [row.effect, row.low, row.high]
    assert found == pytest.approx([expected.effect, expected.low, expected.high])
    assert row.n == 4 and "On a new data set gru's effect lies between" in judgement.sentence
    assert len(judgement.reliability) == 4
    plain = json.loads(judgement.to_json())["datasets"]["gru"]
    assert plain["tau2"] == pytest.approx(expected.tau2) and set(plain["each"]) == set("abcd")


def test_units_without_a_partner_are_left_out_and_named() -> None:
    frame = table()
    cut = frame[~((frame["model"] == "gru") & frame["seed"].isin([1, 6]))]
    judgement = upgate.judge(cut, **ASK)
    assert judgement.verdicts["n"].item() == 6
    assert "lack a partner for 2 values of seed, left out: 1, 6." in judgement.sentence


def test_it_shows_itself_in_a_notebook_and_as_json() -> None:
    judgement = upgate.judge(table(), **ASK)
    html = judgement._repr_html_()
    assert judgement.figure in html and judgement.sentence[:20] in html
    assert judgement.figure.startswith("<svg xmlns=") and judgement.figure.count("<circle") == 9
    plain = json.loads(judgement.to_json())
    assert plain["verdicts"][0]["verdict"] == "helps" and len(plain["differences"]["gru"]) == 8
    assert "有益" in judgement.say("zh")


def twice(frame: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([frame, frame.head(1)], ignore_index=True)


def holed(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(accuracy=frame["accuracy"].where(frame.index != 3))


def apart(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(seed=frame["seed"] + 100 * (frame["model"] == "gru"))


@pytest.mark.parametrize(
    ("change", "words", "sentence"),
    [
        (twice, {}, "2 rows have model="),
        (holed, {}, r"metric=accuracy is nan or empty in 1 rows \(rows 3\)"),
        (apart, {}, "gru and lstm share no seed; pair=none judges them as unpaired"),
        (None, {"baseline": "lstn"}, "baseline=lstn is not a value of model, did you mean 'lstm'"),
        (None, {"metric": "acuracy"}, "metric=acuracy is not a column, did you mean 'accuracy'"),
        (None, {"group": "modl"}, "group=modl is not a column, did you mean 'model'"),
        (None, {"pair": ["sede"]}, "pair=sede is not a column, did you mean 'seed'"),
        (None, {"over": "dat"}, "over=dat is not a column"),
        (None, {"better": "lowr"}, "better=lowr is not a choice, did you mean 'lower'"),
        (None, {"smallest_effect": -1.0}, "smallest_effect=-1.0 must be above 0"),
        (None, {"alpha": 2.0}, "alpha=2.0 must be between 0 and 1"),
        (None, {"group": "seed", "pair": "seed"}, "column seed is given as group and as pair"),
        (lambda x: x[x["model"] == "lstm"], {}, "model has one value, lstm"),
        (lambda x: x.head(0), {}, "there are no rows"),
        (
            lambda x: x.rename(columns={"accuracy": "q"}),
            {"metric": "q"},
            "metric=q does not say which way is better",
        ),
        (lambda x: x.assign(accuracy="high"), {}, "holds 'high', which is not a number"),
        (lambda x: x.assign(accuracy=0.0), {}, "which is 0 or not there; give smallest_effect"),
    ],
)
def test_what_cannot_be_judged_is_one_sentence(change, words, sentence) -> None:  # type: ignore[no-untyped-def]
    frame = table() if change is None else change(table())
    with pytest.raises(UserError, match=sentence):
        upgate.judge(frame, **ASK | words)


def test_it_imports_neither_torch_nor_lightning_nor_mlflow() -> None:
    code = (
        "import sys, upgate, pandas as pd\n"
        "rows = [(m, s, s + (m == 'b')) for m in 'ab' for s in range(6)]\n"
        "frame = pd.DataFrame(rows, columns=['m', 's', 'acc'])\n"
        "judged = upgate.judge(frame, metric='acc', group='m', baseline='a', pair='s')\n"
        "assert judged.page() and judged.figure\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "upgate" in loaded and not loaded & {"torch", "lightning", "mlflow", "hydra"}


def test_items_make_the_interval_one_over_seeds_and_items() -> None:
    rng = np.random.default_rng(3)
    item = rng.normal(0, 0.05, 40)
    rows = [
        (model, seed, f"q{i}", 1 + (model == "gru") * (0.02 + item[i]) + rng.normal(0, 0.01))
        for model in ("lstm", "gru")
        for seed in range(7)
        for i in range(40)
    ]
    frame = pd.DataFrame(rows, columns=["model", "seed", "question", "loss"])
    asked = ASK | {"metric": "loss"}
    judgement = upgate.judge(frame, **asked, items="question")
    cells = frame.pivot_table(index=["model", "seed"], columns="question", values="loss")
    expected = two_way((cells.loc["gru"] - cells.loc["lstm"]).to_numpy(), 0)
    row = judgement.verdicts.iloc[0]
    found = [row.effect, row.low, row.high, row.p]
    assert found == pytest.approx([expected.effect, expected.low, expected.high, expected.p])
    assert "7 pairs by 40 items, over seeds and items" in judgement.sentence
    seeds = frame.groupby(["model", "seed"], as_index=False)["loss"].mean()
    alone = upgate.judge(seeds, **asked).verdicts.iloc[0]
    assert alone.verdict == "hurts" and row.verdict == "undecided"  # the items disagree
    with pytest.raises(UserError, match="items needs pairs"):
        upgate.judge(frame, **asked, items="question", pair="none")
    with pytest.raises(UserError, match=r"40 rows have model="):
        upgate.judge(frame, **asked)


def by_item(items: list[str], seeds: int = 7, shift: float = 0.02) -> pd.DataFrame:
    """A row per model, seed and item."""
    rng = np.random.default_rng(3)
    rows = [
        (model, seed, item, 1 + (model == "gru") * shift + rng.normal(0, 0.01))
        for model in ("lstm", "gru")
        for seed in range(seeds)
        for item in items
    ]
    return pd.DataFrame(rows, columns=["model", "seed", "item", "loss"])


def test_dates_are_items_in_the_order_of_time_with_lags() -> None:
    days = [f"{day:%Y-%m-%d}" for day in pd.date_range("2020-01-30", periods=60)]
    frame = by_item(days).sample(frac=1, random_state=0)
    asked = ASK | {"metric": "loss"}
    judgement = upgate.judge(frame, **asked, items="item")
    cells = frame.pivot(index=["model", "seed"], columns="item", values="loss")
    expected = two_way((cells.loc["gru"] - cells.loc["lstm"]).to_numpy(), 12)
    row = judgement.verdicts.iloc[0]
    assert [row.low, row.high, row.p] == pytest.approx([expected.low, expected.high, expected.p])
    assert "7 pairs by 60 dates, over seeds and dates" in judgement.sentence
    days = frame.assign(item=pd.to_datetime(frame["item"]))
    assert upgate.judge(days, **asked, items="item").verdicts.iloc[0].p == row.p


def test_an_item_of_several_folds_is_one_item_and_one_that_a_run_lacks_is_left_out() -> None:
    frame = by_item([f"q{i}" for i in range(10)])
    twice = pd.concat([frame.assign(fold=0), frame.assign(fold=1)], ignore_index=True)
    asked = ASK | {"metric": "loss", "items": "item"}
    once = upgate.judge(frame, **asked).verdicts.iloc[0]
    assert upgate.judge(twice, **asked).verdicts.iloc[0].p == pytest.approx(once.p)
    lacking = frame.drop(frame.index[(frame["item"] == "q3") & (frame["seed"] == 2)][:1])
    judgement = upgate.judge(lacking, **asked)
    without = upgate.judge(frame[frame["item"] != "q3"], **asked).verdicts.iloc[0]
    assert judgement.verdicts.iloc[0].p == pytest.approx(without.p)
    assert "left out: 1." in judgement.sentence and "7 pairs by 9 items" in judgement.sentence
    with pytest.raises(UserError, match="1 items are in every paired run of gru and lstm"):
        upgate.judge(frame[frame["item"] == "q3"], **asked)


def test_a_diverged_run_is_ranked_and_its_interval_is_over_seeds_only() -> None:
    frame = by_item([f"q{i}" for i in range(10)])
    frame.loc[(frame["model"] == "gru") & (frame["seed"] == 2), "loss"] = np.inf
    judgement = upgate.judge(frame, **ASK | {"metric": "loss", "items": "item"})
    assert judgement.verdicts.iloc[0].diverged == 1
    assert "Diverged runs: 1." in judgement.sentence
    assert "7 pairs, over seeds only" in judgement.sentence


def test_items_over_several_data_sets_are_a_way_of_noise_in_each() -> None:
    sets = [by_item([f"q{i}" for i in range(10)]).assign(dataset=name) for name in "abcd"]
    frame = pd.concat(sets, ignore_index=True)
    frame["loss"] += (frame["model"] == "gru") * frame["dataset"].map(ord) * 1e-4
    judgement = upgate.judge(frame, **ASK | {"metric": "loss", "items": "item", "over": "dataset"})
    assert "4 data sets, over seeds, items and data sets" in judgement.sentence
    cells = frame[frame["dataset"] == "a"].pivot(
        index=["model", "seed"], columns="item", values="loss"
    )
    expected = two_way((cells.loc["gru"] - cells.loc["lstm"]).to_numpy(), 0)
    combined = judgement.arms[0].combined
    assert combined is not None and combined.effects[0].error == pytest.approx(expected.error)
