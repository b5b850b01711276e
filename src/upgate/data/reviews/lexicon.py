"""The grammars of the generated reviews as data: symbol -> productions, equally likely.

In a production `{x}` stands for a production of x with the same polarity, `{!x}` with the opposite
one, `{?x}` with one or the other by a fair coin. Where polarity is a matter of words, `x+` and `x-`
hold them. An aside has none; talk is what others say, and does not count. The clause that is
neither conceded ("although ...", "..., but") nor told of others has the polarity of the review.
"""

from collections.abc import Sequence

Rules = dict[str, Sequence[str]]

# Subject conceded, subject that decides.
PAIRS = (("craft", "film"), ("tale", "film"), ("craft", "tale"), ("tale", "craft"))


def clauses(
    told: Sequence[str], mine: Sequence[str], denied: Sequence[str], my_denied: Sequence[str]
) -> Rules:
    """Clauses about each kind of subject, {S} in the frames.

    `plain`, which is what one concedes, is never denied, `clause` one time in four; `said` is never
    in the first person.
    """
    rules: Rules = {}
    for subject in ("film", "craft", "tale"):
        kinds = {"told": told, "mine": mine, "denied": denied, "my_denied": my_denied}
        for kind, frames in kinds.items():
            rules[f"{kind}_{subject}"] = [
                frame.replace("{S}", f"{{{subject}}}") for frame in frames
            ]
        plain = [f"{{told_{subject}}}", f"{{mine_{subject}}}"]
        deny = [f"{{denied_{subject}}}", f"{{my_denied_{subject}}}"]
        rules[f"plain_{subject}"] = plain
        rules[f"clause_{subject}"] = [*plain * 3, *deny]
        rules[f"said_{subject}"] = [*plain[:1] * 3, *deny[:1]]
    return rules


def contrasts(frames: Sequence[str]) -> list[str]:
    """Every frame with every pair of subjects: {C} is conceded, {D} decides."""
    return [
        f.replace("{C}", f"{{!plain_{c}}}").replace("{D}", f"{{clause_{d}}}")
        for f in frames
        for c, d in PAIRS
    ]


ENGLISH: Rules = {
    "review": ["{before}{opinion} {after}"],
    "before": ["", "", "", "{aside} ", "{aside} ", "{?talk} "],
    "after": [
        "{aside}",
        "{aside} {aside}",
        "{aside} {aside} {aside}",
        "{aside} {aside} {aside} {aside}",
        "{aside} {?talk} {aside}",
    ],
    "opinion": ["{verdict}.", "{verdict}. {told_craft}.", "{contrast}."],
    "verdict": ["{clause_film}", "{opener} {clause_film}", "{clause_craft}", "{clause_tale}"],
    "opener": [
        "overall,",
        "all in all,",
        "in the end,",
        "to be honest,",
        "if you ask me,",
        "in short,",
    ],
    "contrast": contrasts(
        [
            "{C}, but {D}",
            "{C}, and yet {D}",
            "although {C}, {D}",
            "even though {C}, {D}",
            "{D}, although {C}",
            "{D}, even though {C}",
            "{C}. {aside} even so, {D}",
        ]
    ),
    **clauses(
        told=["{S} was {mild}", "{S} was {degree} {mild}", "{S} was {strong}", "{S} was {noun}"],
        mine=[
            "I found {S} {mild}",
            "I found {S} {degree} {mild}",
            "I {liked} {S}",
            "to me {S} was {strong}",
        ],
        denied=[
            "{S} was not {!mild} at all",
            "{S} was by no means {!mild}",
            "{S} was never {!mild}",
            "{S} was anything but {!mild}",
            "nobody could call {S} {!mild}",
            "{S} was hardly {!noun}",
        ],
        my_denied=[
            "I did not find {S} {!mild} at all",
            "I would never call {S} {!mild}",
            "I did not {!like} {S} for a moment",
        ],
    ),
    "film": ["the film", "the movie", "it", "the whole thing", '"{title}"'],
    "craft": ["the acting", "the music", "the camera work", "the dialogue", "the lighting"],
    "tale": ["the story", "the ending", "the first half", "the second half", "the love story"],
    "degree": ["very", "really", "quite", "truly", "thoroughly", "rather"],
    "mild+": [
        "good",
        "engaging",
        "funny",
        "interesting",
        "moving",
        "clever",
        "enjoyable",
        "original",
    ],
    "mild-": ["bad", "boring", "silly", "tedious", "clumsy", "dull", "annoying", "shallow"],
    "strong+": ["wonderful", "brilliant", "superb", "magnificent", "marvellous", "excellent"],
    "strong-": ["awful", "terrible", "dreadful", "horrible", "abysmal", "atrocious"],
    "noun+": ["a masterpiece", "a triumph", "a joy", "a treat"],
    "noun-": ["a chore", "a failure", "a bore", "a letdown"],
    "liked+": ["liked", "enjoyed", "admired"],
    "liked-": ["disliked", "resented", "despised"],
    "like+": ["like", "enjoy", "admire"],
    "like-": ["dislike", "resent", "despise"],
    "talk": [
        "{who} {says} that {said_film}.",
        "{who} {says} that {said_tale}.",
        "{who} {says} that {said_craft}.",
    ],
    "who": [
        "my {kin}",
        "the {kin} of {name}",
        "{name}",
        "a critic from {city}",
        "the man behind us",
        "someone in the queue",
    ],
    "says": ["said", "had told us", "insisted", "had written", "kept repeating", "claimed"],
    "kin": ["sister", "brother", "neighbour", "colleague", "cousin", "aunt", "teacher", "flatmate"],
    "name": [
        "Anna",
        "Boris",
        "Clara",
        "David",
        "Elena",
        "Farid",
        "Greta",
        "Hugo",
        "Irene",
        "Jonas",
        "Karla",
        "Liang",
        "Maria",
        "Nadia",
        "Oscar",
        "Paula",
    ],
    "city": [
        "Lisbon",
        "Prague",
        "Oslo",
        "Vienna",
        "Dublin",
        "Naples",
        "Bruges",
        "Krakow",
        "Porto",
        "Leipzig",
    ],
    "title": ["The {thing}", "{city}", "{name} and {name}", "The {job} of {city}"],
    "thing": [
        "Harbour",
        "Lantern",
        "Orchard",
        "Ferry",
        "Suitcase",
        "Letter",
        "Bridge",
        "Clock",
        "Piano",
        "Window",
    ],
    "job": [
        "baker",
        "doctor",
        "sailor",
        "tailor",
        "lawyer",
        "gardener",
        "pilot",
        "clerk",
        "painter",
        "farmer",
    ],
    "count": ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"],
    "day": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
    "weather": ["raining", "snowing", "dark", "windy", "getting cold", "still light"],
    "way": ["by bus", "on foot", "by tram", "by bicycle", "on the last train"],
    "snack": ["popcorn", "a coffee", "some water", "a sandwich", "ice cream"],
    "aside": [
        "it is about a {job} from {city} who is looking for {count} letters.",
        "{name} plays a {job} who moves to {city} with {count} children.",
        "the {job} leaves {city} on a {day} and meets {name} on the way.",
        "a {job} and a {job} share a house in {city} for {count} weeks.",
        "the plot begins in {city}, where {name} works as a {job}.",
        "after {count} years {name} returns to {city} and opens a shop.",
        "{name} does not know that the {job} has been in {city} before.",
        "nobody in {city} knows where the {job} keeps the key.",
        "{name} never tells the {job} what was in the letter.",
        "we sat in row {count}, next to {name} and the {job}.",
        "our seats were in row {count}, although we had booked row {count}.",
        "I went on a {day} with {name} and {count} other people.",
        "we had not booked, but there were {count} seats left in row {count}.",
        "it was {weather} when we left, so we went home {way}.",
        "it was {weather}, but we came {way} all the same.",
        "we came {way}, even though it was {weather} outside.",
        "outside it was {weather}, and {name} was waiting for us.",
        "the tickets cost {count} euros and we bought {snack}.",
        "{name} bought {snack} and I carried the {count} coats.",
        "I did not buy {snack}, because {name} had brought some.",
        "it runs for about two hours, with {count} minutes of credits.",
        "it was shown in room {count}, which is next to the stairs.",
        "the cinema is in {city}, about {count} minutes from the station.",
        "they show it every {day} at {count} in the evening.",
        "on {day} we talked about {city} and about the {job}.",
        "I have not been to {city}, and {name} has not been there either.",
    ],
}

CHINESE: Rules = {
    "review": ["{before}{opinion}{after}"],
    "before": ["", "", "", "{aside}", "{aside}", "{?talk}"],
    "after": [
        "{aside}",
        "{aside}{aside}",
        "{aside}{aside}{aside}",
        "{aside}{aside}{aside}{aside}",
        "{aside}{?talk}{aside}",
    ],
    "opinion": ["{verdict}。", "{verdict}。{told_craft}。", "{contrast}。"],
    "verdict": ["{clause_film}", "{opener}{clause_film}", "{clause_craft}", "{clause_tale}"],
    "opener": ["总的来说，", "说实话，", "总之，", "老实讲，", "看完之后，", "总体而言，"],
    "contrast": contrasts(
        [
            "{C}，但是{D}",
            "{C}，然而{D}",
            "虽然{C}，但是{D}",
            "尽管{C}，可{D}",
            "{D}，虽然{C}",
            "{D}，尽管{C}",
            "{C}。{aside}即便如此，{D}",
        ]
    ),
    **clauses(
        told=["{S}很{mild}", "{S}{degree}{mild}", "{S}{strong}", "{S}是{noun}"],
        mine=[
            "我觉得{S}很{mild}",
            "我认为{S}{degree}{mild}",
            "我{degree}{like}{S}",
            "对我来说{S}{strong}",
        ],
        denied=[
            "{S}一点也不{!mild}",
            "{S}并不{!mild}",
            "{S}从头到尾都不{!mild}",
            "{S}根本谈不上{!mild}",
            "没有人会说{S}{!mild}",
            "{S}绝不是{!noun}",
            "{S}根本算不上{!noun}",
        ],
        my_denied=["我没有觉得{S}{!mild}", "我从不认为{S}{!mild}", "我一点也不{!like}{S}"],
    ),
    "film": ["这部电影", "这部片子", "整部影片", "全片", "《{title}》"],
    "craft": ["演技", "配乐", "摄影", "对白", "灯光"],
    "tale": ["剧情", "结局", "前半段", "后半段", "感情戏"],
    "degree": ["非常", "相当", "实在很", "真的很", "特别", "十分"],
    "mild+": ["好", "出色", "精彩", "动人", "新颖", "用心", "细腻", "讨喜"],
    "mild-": ["差", "糟糕", "乏味", "无聊", "老套", "敷衍", "粗糙", "做作"],
    "strong+": ["令人难忘", "精妙绝伦", "让人拍案叫绝", "叫人惊喜", "堪称一流", "令人赞叹"],
    "strong-": ["令人失望", "糟糕透顶", "让人昏昏欲睡", "叫人恼火", "堪称灾难", "令人反胃"],
    "noun+": ["一大亮点", "一个惊喜", "一种享受", "一次成功"],
    "noun-": ["一大败笔", "一个笑话", "一种折磨", "一次失败"],
    "like+": ["喜欢", "欣赏", "佩服"],
    "like-": ["讨厌", "反感", "厌恶"],
    "talk": ["{who}{says}{said_film}。", "{who}{says}{said_tale}。", "{who}{says}{said_craft}。"],
    "who": ["我{kin}", "{name}的{kin}", "{name}", "{city}的一位影评人", "后排的观众", "排队的人"],
    "says": ["说", "告诉我们", "坚持说", "写道", "一直在讲", "声称"],
    "kin": ["姐姐", "哥哥", "邻居", "同事", "表妹", "阿姨", "老师", "室友"],
    "name": [
        "小林",
        "老周",
        "阿强",
        "志明",
        "春娇",
        "雅文",
        "子涵",
        "建国",
        "秀兰",
        "大鹏",
        "晓东",
        "玉梅",
        "家豪",
        "思远",
    ],
    "city": ["上海", "成都", "西安", "青岛", "厦门", "昆明", "南京", "大连", "苏州", "桂林"],
    "title": ["{thing}", "{city}往事", "{name}与{name}", "{city}的{job}"],
    "thing": ["港口", "灯笼", "果园", "渡船", "手提箱", "来信", "石桥", "座钟", "钢琴", "窗口"],
    "job": ["面包师", "医生", "水手", "裁缝", "律师", "园丁", "飞行员", "职员", "画家", "农夫"],
    "count": ["三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二"],
    "day": ["周一", "周二", "周三", "周四", "周五", "周六", "周日"],
    "weather": ["在下雨", "在下雪", "天黑了", "刮着风", "有点冷", "天还亮着"],
    "way": ["坐公交", "走路", "坐地铁", "骑车", "坐末班车"],
    "snack": ["爆米花", "一杯咖啡", "一瓶水", "一个三明治", "冰淇淋"],
    "aside": [
        "影片讲的是{city}的一个{job}寻找{count}封信的事。",
        "{name}演一个带着{count}个孩子搬到{city}的{job}。",
        "{job}在{day}离开{city}，路上遇到了{name}。",
        "一个{job}和一个{job}在{city}合住了{count}个星期。",
        "故事从{city}开始，{name}在那里当{job}。",
        "{count}年以后，{name}回到{city}开了一家店。",
        "{name}不知道那个{job}以前来过{city}。",
        "{city}没有人知道{job}把钥匙放在哪里。",
        "{name}从不告诉{job}信里写了什么。",
        "我们坐在第{count}排，旁边是{name}和一个{job}。",
        "我们的座位在第{count}排，虽然订的是第{count}排。",
        "我是{day}和{name}还有另外{count}个人一起去的。",
        "我们没有订票，但是第{count}排还有{count}个座位。",
        "散场的时候{weather}，我们就{way}回家了。",
        "那天{weather}，但是我们还是{way}去了。",
        "尽管外面{weather}，我们还是{way}来的。",
        "外面{weather}，{name}在门口等我们。",
        "票价是{count}块钱，我们还买了{snack}。",
        "{name}买了{snack}，我拿着{count}件外套。",
        "我没有买{snack}，因为{name}带了。",
        "片长大约两个小时，片尾字幕有{count}分钟。",
        "放映厅是{count}号厅，就在楼梯旁边。",
        "电影院在{city}，离车站{count}分钟。",
        "每个{day}晚上{count}点都有一场。",
        "{day}我们聊了聊{city}和那个{job}。",
        "我没有去过{city}，{name}也没有去过。",
    ],
}

RULES = {"english": ENGLISH, "chinese": CHINESE}
