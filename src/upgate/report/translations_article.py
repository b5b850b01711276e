"""What the page of experiment=article says, in English and Chinese; part of the table of words."""

ARTICLE: dict[str, tuple[str, str]] = {
    "fact_check": ("Fact-check {id}", "事实核查 {id}"),
    "article_under": (
        "The article's claim on the task {task}, held against one study per setting",
        "文章在任务 {task} 上的主张，逐个设定以一项研究核查",
    ),
    "article_note": (
        "Gain: percent less MSE, or points of accuracy more. Confirmed: the whole interval over seeds reaches the claimed size. Refuted: "
        "all of it stays below. Else, and with fewer than 6 seeds, not shown.",
        "增益：MSE 降低的百分比，或准确率提高的百分点。证实：种子区间整体达到所主张的大小。否定：整体低于它。"
        "其余情形以及少于 6 个种子时，为未能表明。",
    ),
    "studies_below": ("The studies stand below:", "各研究见下："),
    "claim_in_article": (
        "In the article's own setting, {setting}: a gain of {measured}, where {claimed} was claimed ({n} seeds).",
        "文章自己的设定（{setting}）：增益 {measured}，所主张为 {claimed}（{n} 个种子）。",
    ),
    "claim_in_honest": (
        "In the honest setting, {setting}: a gain of {measured}, where {claimed} was claimed ({n} seeds).",
        "诚实的设定（{setting}）：增益 {measured}，所主张为 {claimed}（{n} 个种子）。",
    ),
    "setting_level": ("level", "价格水平"),
    "setting_return": ("return", "收益率"),
    "setting_volatility": ("volatility", "波动率"),
    "setting_reviews": ("reviews", "评论"),
    "setting": ("setting", "设定"),
    "gain": ("gain", "增益"),
    "confirmed": ("confirmed", "证实"),
    "refuted": ("refuted", "否定"),
    "not_shown": ("not shown", "未能表明"),
    "claim": ("claim", "主张"),
    "claims": ("The claim, and what was measured", "主张与实测"),
    "claimed": ("claimed: {size}", "所主张：{size}"),
    "article_setting": ("the article's setting", "文章的设定"),
    "honest_setting": ("an honest setting", "诚实的设定"),
    "scores_stock": ("MSE over persistence's", "MSE 与持续性之比"),
    "scores_sentiment": ("accuracy", "准确率"),
    "claim_less_stock": (
        "MSE at least 20% lower than the traditional recipe's",
        "MSE 比传统配方至少低 20%",
    ),
    "claim_excess_stock": (
        "the same, as a share of the excess error over persistence (volatility: over HAR) that is removed",
        "同上，以去除的超额误差份额表示（相对持续性；波动率相对 HAR）",
    ),
    "claim_beyond_stock": (
        "taken for granted: a lower MSE than persistence's (volatility: than HAR's)",
        "隐含前提：MSE 低于持续性（波动率：低于 HAR）",
    ),
    "claim_less_sentiment": (
        "accuracy at least 5 points above the traditional recipe's",
        "准确率比传统配方至少高 5 个百分点",
    ),
    "claim_linear_sentiment": ("the same, above the linear model's", "同上，相对线性模型"),
    "claim_beyond_sentiment": (
        "taken for granted: a higher accuracy than the linear model's",
        "隐含前提：准确率高于线性模型",
    ),
    "no_excess": ("no sure excess over {name}", "未见确定的超额误差（相对 {name}）"),
    "times_of": (" times {name}'s", " 倍（相对 {name}）"),
    "claim_drawn": ("Claimed and measured", "主张与实测的差距"),
    "claim_drawn_note": (
        "Gain over the traditional recipe with its interval over seeds; the line is the claim, {claimed}.",
        "相对传统配方的增益与种子区间；竖线为所主张的 {claimed}。",
    ),
    "claims_label": ("Claimed {claimed}; measured: {said}", "主张 {claimed}；实测：{said}"),
}
