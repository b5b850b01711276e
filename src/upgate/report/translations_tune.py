"""What the page of a search says, in English and Chinese, beside the words of every page."""

from upgate.report.translations import Words

TUNE: dict[str, tuple[str, str]] = {
    "t_title": ("Search {id}", "搜索 {id}"),
    "t_subtitle": (
        "{task}; {trials} trials of each arm from {sampler}, trial 0 the recipe as it is; {folds} folds of cross-validation, "
        "the best {top} with {seeds} more seeds",
        "{task}；每个配方 {trials} 次试验，来自{sampler}，第 0 次为原配方；{folds} 折交叉验证，最好的 {top} 个再用 {seeds} 个种子",
    ),
    "t_grid": ("a grid", "网格"),
    "t_random": ("a random list", "随机列表"),
    "t_sobol": ("a scrambled Sobol list", "加扰 Sobol 序列"),
    "t_tpe": ("tree-structured Parzen estimators", "树结构 Parzen 估计"),
    "t_before_after": ("Before and after tuning", "调参前后"),
    "t_before_after_note": (
        "Validation: mean over folds of the kept weights, on which the choice was made, so the best of many is flattered. Test: after the "
        "choice, recipe as it is and winner alike trained on train + validation for their own number of steps, and tested once.",
        "验证：各折保留权重得分的均值；选择据此作出，因此多中取优会偏高。测试：选定之后，原配方与优胜者都在训练集加验证集上按各自步数重训，只测一次。",
    ),
    "t_arm": ("arm", "配方"),
    "t_block": ("block", "区段"),
    "t_validation": ("validation, untuned", "验证，调参前"),
    "t_best": ("validation, best", "验证，最好"),
    "t_trial": ("trial", "试验"),
    "t_steps": ("steps", "步数"),
    "t_untuned": ("test, untuned", "测试，调参前"),
    "t_tuned": ("test, tuned", "测试，调参后"),
    "t_values": ("chosen values", "选定的值"),
    "t_as_it_is": ("as it is", "原配方"),
    "t_curve": ("Expected best of n trials", "n 次试验的期望最优"),
    "t_curve_note": (
        "How good the best of n trials is to be expected on validation, for any budget n: exact, without replacement, over the trials "
        "that were run. Band: 95% by bootstrap over trials. A line begins where so few trials can no longer all have diverged.",
        "任意预算 n 下，n 次试验中最优者的期望验证得分：对已运行试验作不放回的精确计算。阴影：对试验自助抽样的 95% 区间。"
        "曲线从 n 次试验不可能全部发散处开始。",
    ),
    "t_curve_tpe": (
        " Later points of this sampler depend on earlier ones, so its trials are no random draw: read the curve as a description.",
        "此采样器后面的点依赖前面的结果，试验并非随机抽取：曲线仅作描述。",
    ),
    "t_curve_label": (
        "Expected best score by number of trials; with all trials: {said}",
        "按试验次数的期望最优得分；全部试验时：{said}",
    ),
    "t_trials_axis": ("n", "n"),
    "t_importance": ("What mattered", "哪些超参数重要"),
    "t_importance_note": (
        "Share of the variance of the validation score over the searched ranges that each axis explains (fANOVA on a random forest). It "
        "speaks of these ranges and these {n} trials: a wider range looks more important, a few dozen trials rank the first few at best, "
        "and it does not say which value is good.",
        "在所搜索的范围内，各轴解释的验证得分方差份额（随机森林上的 fANOVA）。它只针对这些范围和这 {n} 次试验："
        "范围越宽显得越重要，几十次试验最多能排出前几名，而且不说明取什么值好。",
    ),
    "t_importance_label": ("Share of variance explained: {said}", "解释的方差份额：{said}"),
    "t_share": ("share", "份额"),
    "t_parallel": ("Trials across the axes", "试验的平行坐标"),
    "t_parallel_note": (
        "A line per trial, from its values to its score, the better the higher up at the last axis. Solid: the chosen one. Dashed: the "
        "recipe as it is, moved to the nearest end where it lies outside a range. Diverged and failed trials end at the bottom.",
        "每次试验一条线，从各轴取值到得分，最后一轴越高越好。实线：选定者。虚线：原配方，超出范围处移到最近端。发散与失败的试验落在底部。",
    ),
    "t_parallel_label": ("{n} trials of {arm} over {axes}", "{arm} 的 {n} 次试验，轴：{axes}"),
    "t_slices": ("Score by each axis", "得分与各轴"),
    "t_slices_note": (
        "Each dot is a trial; all other axes move too, so a slope here is no effect of that axis alone. Diverged trials are not drawn.",
        "每点一次试验；其他轴同时变化，故这里的趋势不是该轴单独的作用。发散的试验未画出。",
    ),
    "t_slice_label": ("Score over {axis}, {n} trials", "得分对 {axis}，{n} 次试验"),
    "t_trials": ("All trials", "全部试验"),
    "t_state": ("state", "状态"),
    "t_complete": ("complete", "完成"),
    "t_pruned": ("pruned", "剪枝"),
    "t_diverged": ("diverged", "发散"),
    "t_failed": ("failed", "失败"),
    "t_score": ("validation", "验证"),
    "t_final": ("all seeds", "全部种子"),
    "t_space": ("What was searched", "搜索空间"),
    "t_range": ("range", "范围"),
    "t_states_note": (
        "{arm}: {pruned} pruned, {diverged} diverged and {failed} failed of {n} trials. They rank last, none is dropped.",
        "{arm}：{n} 次试验中剪枝 {pruned}、发散 {diverged}、失败 {failed}。它们排在最后，没有丢弃。",
    ),
    "t_frozen": ("What was frozen", "固定了什么"),
    "t_looks": (
        "Runs of this store that were judged on this test part, whoever asked for them: {count}.",
        "本存储中在此测试集上评判过的运行（无论谁发起）：{count} 次。",
    ),
    "t_closed": ("The test part was not opened.", "测试集未打开。"),
    "t_tests_said": (
        "{arm}: {before} before, {after} after",
        "{arm}：调参前 {before}，调参后 {after}",
    ),
    "t_tests_metric": ("Test {metric}. {said}.", "测试 {metric}。{said}。"),
    "t_few": (
        "One test run of each is an anecdote: a study over several seeds says how sure it is.",
        "每个配方只有一次测试运行，不足为凭：多种子的研究才能说明把握有多大。",
    ),
}


class TuneWords(Words):
    """`Words`, and this table's."""

    def __call__(self, key: str, **values: str | int) -> str:
        return (
            TUNE[key][self._column].format(**values)
            if key in TUNE
            else super().__call__(key, **values)
        )
