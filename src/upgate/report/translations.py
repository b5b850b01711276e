"""What the report says, in English and Chinese: one table, so that neither is forgotten."""

from upgate.errors import UserError, did_you_mean
from upgate.report.translations_article import ARTICLE

LANGUAGES = {"en": "en", "zh": "zh-Hans"}  # in the order of the table's columns -> as HTML says it

TABLE: dict[str, tuple[str, str]] = {
    "title": ("Study {id}", "研究 {id}"),
    "subtitle": (
        "{task}, design {design}; recipes: {arms}, seeds: {seeds}, folds: {folds}",
        "{task}，设计 {design}；配方 {arms} 个，种子 {seeds} 个，{folds} 折",
    ),
    "unfinished": (
        "Not finished, missing runs: {count}. A seed counts where all of it is there.",
        "尚未完成，缺少 {count} 次运行。只统计全部运行齐备的种子。",
    ),
    "diverged_note": (
        "Diverged runs: {count}. They rank last and are counted, none is dropped.",
        "{count} 次运行发散。它们排在最后并计入统计，没有丢弃。",
    ),
    "numbers": ("The numbers", "数据表"),
    "shown_of": (
        "{shown} of {all} rows are drawn, evenly spread; all are in the table.",
        "图中显示 {all} 行中均匀抽取的 {shown} 行；表中为全部。",
    ),
    "helps": ("helps", "有益"),
    "hurts": ("hurts", "有害"),
    "equivalent": ("equivalent", "等价"),
    "undecided": ("undecided", "未定"),
    "said_helps": (
        "{arm} helps: {metric} {effect} against {baseline} ({level}% interval {low} to {high}, {n} seeds)",
        "{arm} 有益：相对 {baseline}，{metric}变化 {effect}（{level}% 区间 {low} 至 {high}，{n} 个种子）",
    ),
    "said_hurts": (
        "{arm} hurts: {metric} {effect} against {baseline} ({level}% interval {low} to {high}, {n} seeds)",
        "{arm} 有害：相对 {baseline}，{metric}变化 {effect}（{level}% 区间 {low} 至 {high}，{n} 个种子）",
    ),
    "said_equivalent": (
        "{arm} is equivalent to {baseline}: {metric} {effect}, within ±{margin} ({level}% interval {low} to {high}, {n} seeds)",
        "{arm} 与 {baseline} 等价：{metric}变化 {effect}，在 ±{margin} 之内（{level}% 区间 {low} 至 {high}，{n} 个种子）",
    ),
    "said_undecided": (
        "Undecided whether {arm} differs from {baseline}: {metric} {effect} ({level}% interval {low} to {high}, {n} seeds{more})",
        "{arm} 与 {baseline} 是否有差别未定：{metric}变化 {effect}（{level}% 区间 {low} 至 {high}，{n} 个种子{more}）",
    ),
    "more_seeds": ("; about {more} more would decide", "；约需再加 {more} 个种子"),
    "more_never": ("; no practical number of seeds would decide", "；增加种子也难以判定"),
    "of_parts": ("of its parts, ", "各部分中，"),
    "by_word": ("{names}: {word}", "{names} {word}"),
    "and": (", ", "、"),
    "then": ("; ", "；"),
    "stop": (".", "。"),
    "aa_found": (
        "A/A found a difference where there is none: take the other rows with care.",
        "A/A 在本无差别处发现了差别：请谨慎看待其他各行。",
    ),
    "control_failed": ("A control fails: {names}.", "对照不成立：{names}。"),
    "nothing": ("No recipe has been compared yet.", "尚无可比较的配方。"),
    "score": ("score", "得分"),
    "seed": ("seed", "种子"),
    "fold": ("fold", "折"),
    "folds": ("folds", "折"),
    "control": ("control", "对照"),
    "words": ("words", "命令词"),
    "recipe": ("recipe", "配方"),
    "verdict": ("verdict", "结论"),
    "effect": ("effect", "效应"),
    "interval": ("interval", "区间"),
    "difference": ("difference", "差异"),
    "seeds": ("seeds", "种子数"),
    "better_left": ("← better", "← 更好"),
    "worse_left": ("← worse", "← 更差"),
    "better_right": ("better →", "更好 →"),
    "worse_right": ("worse →", "更差 →"),
    "diverged": ("diverged", "发散"),
    "aa": ("A/A: {name}, other seeds", "A/A：{name}，另一组种子"),
    "unit_percent": ("percent", "百分比"),
    "unit_points": ("points", "百分点"),
    # effects
    "effects": ("Effects", "效应"),
    "effects_note": (
        "{metric}, {direction}: change against {baseline} in {unit}, with {level}% intervals over seeds; a small dot per seed. Grey zone: "
        "smaller than ±{margin}, too small to matter.",
        "{metric}，{direction}：相对 {baseline} 的变化（{unit}），{level}% 区间（按种子）；每个小点为一个种子。"
        "灰色区域：小于 ±{margin}，小到无关紧要。",
    ),
    "aa_note": (
        " The first row is the baseline against itself on other seeds: the noise floor.",
        "第一行是基线在另一组种子上与自身比较：噪声水平。",
    ),
    "effects_label": ("Forest plot of effects. {said}", "效应森林图。{said}"),
    "lower": ("lower is better", "越低越好"),
    "higher": ("higher is better", "越高越好"),
    # seeds
    "pairs": ("Seed by seed: {arm}", "逐个种子：{arm}"),
    "pairs_note": (
        "One row per seed, both recipes on the same data, order and start. Hollow: {baseline}; filled: {arm}. {metric}, {direction}.",
        "每行一个种子，两个配方的数据、顺序与初值相同。空心：{baseline}；实心：{arm}。{metric}，{direction}。",
    ),
    "pairs_label": (
        "Paired dots of {arm} and {baseline}: {arm} is better on {wins} of {n}.",
        "{arm} 与 {baseline} 的配对点图：{n} 个中 {arm} 在 {wins} 个上更好。",
    ),
    "by_fold": ("Mean difference per fold", "各折平均差异"),
    # scores
    "scores": ("Beside what costs nothing", "与零成本参照比较"),
    "scores_note": (
        "{metric}, {direction}, pooled over seeds and folds: recipes beside the references on the same test part.",
        "{metric}，{direction}，按种子与折汇总：配方与同一测试集上的参照。",
    ),
    "scores_label": ("Scores of recipes and references: {said}", "配方与参照的得分：{said}"),
    "reference": ("{name} (reference)", "{name}（参照）"),
    # attribution
    "attribution": ("What each part brings", "各部分的贡献"),
    "attribution_note": (
        "Shapley values with {level}% intervals: {whole} in all is the sum of the shares. Shares add up on the scale of {scale}.",
        "Shapley 值与 {level}% 区间：总差异 {whole} 等于各份额之和。份额在{scale}尺度上相加。",
    ),
    "scale_log": ("log ratios", "对数比"),
    "scale_plain": ("differences", "差值"),
    "attribution_label": ("Shares of the parts: {said}", "各部分份额：{said}"),
    "part": ("part", "部分"),
    "share": ("share", "份额"),
    "add_one": ("added alone", "单独加入"),
    "leave_one_out": ("lost when left out", "去掉后损失"),
    "interaction": ("interaction", "交互作用"),
    "seconds_ratio": ("time", "时间"),
    "remainder": ("interactions of three and more", "三项及以上交互"),
    "interactions": ("Interactions of two parts", "两部分交互"),
    # curves
    "curves": ("Learning curves", "学习曲线"),
    "curves_note": (
        "Validation loss by epoch: mean over seeds, the band from lowest to highest seed (folds averaged first). A run that has stopped "
        "keeps its last value.",
        "各轮验证损失：种子均值，色带为最低至最高的种子（先对折取平均）。提前停止的运行保持最后的值。",
    ),
    "curves_label": (
        "Validation loss of {arm} ends at {ours}, that of {baseline} at {theirs}.",
        "{arm} 的验证损失终值 {ours}，{baseline} 为 {theirs}。",
    ),
    "epoch": ("epoch", "轮"),
    "lowest": ("lowest", "最低"),
    "highest": ("highest", "最高"),
    "mean": ("mean", "均值"),
    # stock
    "forecast": ("Forecast, truth and persistence", "预测、真实值与持续性预测"),
    "forecast_note": (
        "{ticker}, the last {shown} test days of fold {fold}, in {unit}; forecasts are means over seeds.",
        "{ticker}，第 {fold} 折测试期最后 {shown} 天，单位：{unit}；预测为种子均值。",
    ),
    "unit_price": ("price", "价格"),
    "unit_target": ("units of the target", "目标单位"),
    "forecast_label": (
        "Daily truth of {ticker} with the forecasts of persistence, {baseline} and {arm}; mean absolute errors {errors}.",
        "{ticker} 的每日真实值与持续性、{baseline}、{arm} 的预测；平均绝对误差 {errors}。",
    ),
    "date": ("date", "日期"),
    "truth": ("truth", "真实值"),
    "persistence": ("persistence", "持续性"),
    "lead": ("Who leads, and when", "谁领先、何时领先"),
    "lead_note": (
        "Squared error of the other minus {arm}'s, summed over the test dates; rising where {arm} is better. "
        "Unit: persistence's error on an average day.",
        "对方平方误差减去 {arm} 的，按测试日期累加；上升表示 {arm} 更好。单位：持续性预测的日均误差。",
    ),
    "lead_label": ("Summed lead of {arm}: it ends at {said}.", "{arm} 的累计领先：终值 {said}。"),
    "against": ("against {name}", "相对 {name}"),
    "tickers": ("Ticker by ticker", "逐只股票"),
    "tickers_note": (
        "MSE over persistence's, geometric mean over seeds and folds: left of the line beats yesterday's value. "
        "Hollow: {baseline}; filled: {arm}.",
        "MSE 与持续性之比，种子与折的几何均值：线左侧优于昨日值。空心：{baseline}；实心：{arm}。",
    ),
    "tickers_label": (
        "Ratios to persistence of {n} tickers: {arm} is better than {baseline} on {wins}.",
        "{n} 只股票相对持续性的比值：{arm} 在 {wins} 只上优于 {baseline}。",
    ),
    "ticker": ("ticker", "股票"),
    "tickers_whole": (
        "All tickers: {ratio} of the baseline's MSE, interval {low} to {high} (tickers and seeds resampled).",
        "全部股票：基线 MSE 的 {ratio} 倍，区间 {low} 至 {high}（对股票与种子重抽样）。",
    ),
    # text
    "confusion": ("Confusion matrices", "混淆矩阵"),
    "confusion_note": (
        "Rows: the truth; columns: the answer. Share of the row, and reviews per seed on average.",
        "行：真实类别；列：回答。数值为占该行比例，以及每个种子的平均评论数。",
    ),
    "confusion_label": (
        "Confusion matrix of {arm}: {right} right.",
        "{arm} 的混淆矩阵：{right} 正确。",
    ),
    "answer": ("answer", "回答"),
    "disagree": ("Reviews on which the recipes disagree", "配方意见不一的评论"),
    "disagree_note": (
        "Share of seeds that answer right: {baseline} → {arm}. The widest gaps in both directions, {shown} of {all} reviews with any gap.",
        "答对的种子比例：{baseline} → {arm}。两个方向上差距最大者，{all} 条有差距的评论中的 {shown} 条。",
    ),
    "agree": (
        "Over seeds, both are right equally often on every review.",
        "就各种子而言，两者在每条评论上的正确率相同。",
    ),
    "only_arm": ("{arm} is right more often", "{arm} 更常答对"),
    "only_base": ("{baseline} is right more often", "{baseline} 更常答对"),
    "right": ("right", "正确率"),
    # tables
    "second": ("Beyond seeds", "种子之外的检验"),
    "second_note": (
        "What other test dates or items would say; the verdict is over seeds.",
        "针对其他测试日期或样本的检验；结论以种子检验为准。",
    ),
    "seeds_fixed": (
        "Seeds and dates answers for other seeds and other dates at once. Diebold-Mariano and the model confidence set take the trained "
        "seeds as fixed: two draws of one recipe they call different far more often than their level says (35 to 52% of simulated studies "
        "at 5%), so a small p there is no proof of a better recipe.",
        "“种子与日期”同时针对其他种子与其他日期。Diebold-Mariano 与模型置信集把已训练的种子视为固定：同一配方的两次训练，它们判为不同的比例"
        "远高于名义水平（模拟中 5% 水平下为 35% 至 52%），所以其 p 值小并不证明配方更好。",
    ),
    "test_both": ("seeds and dates", "种子与日期"),
    "test_fixed": (
        "Diebold-Mariano (trained seeds as fixed)",
        "Diebold-Mariano（把已训练的种子视为固定）",
    ),
    "test_persistence": ("Clark-West, against persistence", "Clark-West，相对持续性预测"),
    "test_items": ("item bootstrap", "样本自助法"),
    "test_mcnemar": ("McNemar, median over runs", "McNemar，各次运行的中位数"),
    "confidence_set": ("model confidence set", "模型置信集"),
    "others": ("The other recipes", "其他配方"),
    "test": ("test", "检验"),
    "engagement": ("What the parts did", "各部分实际作用"),
    "engagement_note": (
        "Means over an arm's runs: tells a part at work from one that never engaged.",
        "每个配方运行的均值：区分起作用的部分与从未生效的部分。",
    ),
    "engagement_none": ("The parts of these recipes report nothing.", "这些配方的部分没有报告。"),
    "layers": ("Layer by layer", "逐层"),
    "measure": ("measure", "指标"),
    "cost": ("Cost", "成本"),
    "cost_note": (
        "Means over an arm's runs, training only. All runs together: {total}.",
        "每个配方运行的均值，只计训练。全部运行合计：{total}。",
    ),
    "budget_alike": (
        "Budgets are equal in steps, and within 5% in time: a step of {arm} takes {ratio} times as long as one of {baseline}.",
        "各配方步数相同，耗时相差不超过 5%：{arm} 的一步为 {baseline} 的 {ratio} 倍。",
    ),
    "budget_differs": (
        "Budgets are equal in steps, and differ in time: a step of {arm} takes {ratio} times as long as one of {baseline}. "
        "The same question with equal wall time:",
        "各配方步数相同，但耗时不同：{arm} 的一步为 {baseline} 的 {ratio} 倍。以相同时间重做：",
    ),
    "clock": (
        "The clock is rough here: the baseline's own runs on other seeds took {ratio} times as long as those above.",
        "此处计时粗略：基线在另一组种子上的运行耗时为上面的 {ratio} 倍。",
    ),
    "budget_both": (
        "Equal wall time came to the same epochs for every recipe, so these are equal steps as well: in the runs, a step of {arm} took "
        "{ratio} times as long as one of {baseline}.",
        "相同时间折算后各配方轮数相同，因此步数也相同：运行中 {arm} 的一步为 {baseline} 的 {ratio} 倍。",
    ),
    "budget_wall": ("Equal wall time", "相同时间"),
    "budget_wall_note": (
        "Each recipe got the whole epochs that the baseline's time pays for, by the seconds of a step measured before the first run. "
        "Allowed: what the baseline's steps were expected to take then; used: the mean of the runs; early stopping uses less.",
        "每个配方得到基线所用时间可支付的整数轮数，按首次运行前实测的每步秒数计。"
        "允许：当时预计基线各步所需时间；实用：各次运行均值；提前停止会少用。",
    ),
    "step_ratio": ("a step / the baseline's", "每步/基线"),
    "allowed": ("seconds allowed", "允许秒数"),
    "used": ("seconds used", "实用秒数"),
    "cost_label": ("Seconds per run: {said}", "每次运行秒数：{said}"),
    "seconds": ("seconds", "秒"),
    "per_step": ("ms per step", "毫秒/步"),
    "steps": ("steps", "步数"),
    "epochs": ("epochs", "轮数"),
    "controls": ("Controls", "对照"),
    "expected": ("expected", "预期"),
    "seen": ("seen", "实测"),
    "zero_expected": ("exactly the baseline's numbers", "与基线的数字完全相同"),
    "holds": ("holds", "成立"),
    "fails": ("fails", "不成立"),
    "not_run": ("not run", "未运行"),
    "frozen": ("Frozen before the first run", "首次运行前已固定"),
    "looks": (
        "The test part has been looked at {count} times in this store, by any command.",
        "本存储中测试集已被查看 {count} 次（含任何命令）。",
    ),
    "key": ("what", "项"),
    "value": ("value", "值"),
    "data": ("data", "数据"),
    "hash": ("content hash", "内容哈希"),
    "metric": ("metric", "指标"),
    "smallest": ("smallest effect of interest", "最小关注效应"),
    "level": ("level", "显著性水平"),
    "aa_seeds": ("seeds of the A/A control", "A/A 对照的种子"),
    "commands": ("Do it again", "重现"),
    "shared": ("All of them:", "共同部分："),
    "recipes": ("The recipes, word by word", "各配方的完整写法"),
    "minutes": ("{value} minutes", "{value} 分钟"),
    "hours": ("{value} hours", "{value} 小时"),
    "some_seconds": ("{value} seconds", "{value} 秒"),
    **ARTICLE,
}


class Words:
    """The table's column of a language: `w("seed")`, `w("title", id=...)`. Raises UserError for another language."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise UserError(
                f"report.language={language} is not a choice{did_you_mean(language, LANGUAGES)}"
            )
        self.language = language
        self.html_language = LANGUAGES[language]
        self._column = list(LANGUAGES).index(language)

    def __call__(self, key: str, **values: str | int) -> str:
        return TABLE[key][self._column].format(**values)
