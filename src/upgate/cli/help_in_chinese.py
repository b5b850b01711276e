"""The prose of the help pages in Chinese, by its English, and the overview.

A module of its own, for only a terminal that speaks Chinese reads it. A test holds that every
text of a page has one, and that none is left over.
"""

HELP = """\
upgate：升级后的 LSTM 训练配方在你的数据上有用吗？是哪个部件在起作用？
作用有多大？结论有多可靠？

从这里开始：
  upgate train task=stock          配方、它的孪生对照（传统 LSTM）和参照预测
  upgate study task=stock          先给出计划；两者各训练 6 个种子；给出结论

命令（upgate COMMAND --help：选项、默认值、示例）：
  upgate train [group=choice ...] [key=value ...]   运行及其孪生对照
  upgate study [study=pair|parts|factorial|arms]    哪个部件有用，有多可靠
  upgate tune [search=random|grid|sobol|tpe]        搜索超参数
  upgate report study=latest                        一个 HTML 页面
  upgate runs [optimizer=adam] [limit=all]          列出存储的内容
  upgate judge data.path=FILE metric=NAME ...       对任何人的运行下结论
  upgate predict run=latest [data.path=FILE]        预测，或给文本分类
  upgate promote run=KEY [alias=champion]           登记到 MLflow 的模型注册表
  upgate export run=KEY to=onnx|torch               写成供其他程序使用的文件
  upgate delete run=KEY                             删除一次运行
  upgate ui [port=5000]                             MLflow 界面
  upgate check-part GROUP=NAME                      检验一个部件，包括你自己的
  upgate schema GROUP                               你的 yaml 可以写什么
  upgate completion bash|zsh|fish                   为你的 shell 补全命令行

设置用 Hydra 的写法：group=choice 与 key=value
  upgate train --choices           各组及其选择
  upgate train --cfg job           完整的配置
  upgate train -m seed=0,1,2       每个组合各一次运行

  -h, --help      本页，或一个命令的说明
  -V, --version   版本

退出码：0 完成，1 有运行失败，2 无法执行所要求的（用一句话说明原因），130 已中断
"""

CHINESE = {
    # the page
    "usage": "用法",
    "After = stands the default; capitals stand for a value of yours.":
        "= 之后是默认值；大写表示由你给出的值。",
    "words of train: upgate train --help": "train 的设置：upgate train --help",
    "flags": "选项",
    "this page": "本页",
    "any command": "任何命令",
    "examples": "示例",
    # sections
    "of train alone": "仅用于 train",
    "group=choice (defaults of task=stock), and the choices that there are":
        "group=choice（task=stock 的默认值），以及可用的选择",
    "its own keys; the words of train hold for every arm": "自己的键；train 的设置对每个配方都有效",
    "its own keys; the words of train hold for every trial":
        "自己的键；train 的设置对每次试验都有效",
    # commands
    "Train a recipe beside its twin, the traditional LSTM on the same data and seed.":
        "训练一个配方和它的孪生对照，即数据和种子都相同的传统 LSTM。",
    "Ask whether a recipe helps, which part of it, and by how much: the plan first.":
        "配方是否有用，是哪个部件在起作用，作用有多大；先给出计划。",
    "Search hyperparameters by cross-validation; the winner is tested once.":
        "用交叉验证搜索超参数；最佳者只测试一次。",
    "Write a study, a search or a run as one HTML page, from what the store holds.":
        "由存储中的内容，把一项研究、一次搜索或一次运行写成一个 HTML 页面。",
    "List the runs that the store holds, newest first.": "列出存储中的运行，最新的在前。",
    "Give verdicts on anybody's runs: those of a table, or of an MLflow store.":
        "对任何人的运行下结论：来自一个表，或一个 MLflow 存储。",
    "Forecast prices or label texts with a stored run, its preprocessing included.":
        "用存储中的一次运行及其预处理，预测价格或给文本分类。",
    "Register a run as a model of MLflow, which loads and serves it.":
        "把一次运行登记为 MLflow 的模型，由它加载并提供服务。",
    "Write a run's network as one file, for programs without upgate; its outputs are checked.":
        "把一次运行的网络写成一个文件，供没有 upgate 的程序使用；其输出经过核对。",
    "Delete a run, from the lists and from this disk.": "删除一次运行，从列表中，也从本磁盘上。",
    "Serve the MLflow UI on the same store, until Ctrl-C.":
        "在同一存储上打开 MLflow 界面，直到 Ctrl-C。",
    "Test the properties of all parts on one choice, your own or a shipped one.":
        "用所有部件都应有的性质检验一个选择，你自己的或自带的。",
    "Print what a yaml of a group may say, as JSON Schema, by which editors complete and check"
    " yours. GROUP is one of upgate train --choices, or experiment; without it, what --cfg job"
    " prints.":
        "以 JSON Schema 打印一个组的 yaml 可以写什么，编辑器据此补全和检查。GROUP 是"
        " upgate train --choices 中的一个，或 experiment；不给时为 --cfg job 所打印的内容。",
    "Print a shell's completion: source <(upgate completion bash) in ~/.bashrc;"
    " the same with zsh in ~/.zshrc, behind compinit; or upgate completion fish | source.":
        "打印一种 shell 的补全脚本：在 ~/.bashrc 中写 source <(upgate completion bash)；"
        "zsh 同样写在 ~/.zshrc 的 compinit 之后；或 upgate completion fish | source。",
    # flags
    "a run for every combination of a,b lists, range(...) and glob(...)":
        "a,b 列表、range(...) 与 glob(...) 的每个组合各一次运行",
    "your own choices, laid out as conf/; beside a yaml the code of your own part or task":
        "你自己的选择，布局与 conf/ 相同；yaml 旁可放你自己的部件或任务的代码",
    "print the last sentence alone, and what went wrong": "只打印最后一句和出错之处",
    "no question first": "不先询问",
    "for programs": "供程序读取",
    "list the groups and their choices": "列出各组及其选择",
    "list the choices that cannot be combined, and why": "列出不能同用的选择及原因",
    "print the full configuration, and train nothing": "打印完整的配置，不训练",
    "with --cfg job: this part of it alone": "与 --cfg job 同用：只打印这一部分",
    "where each choice comes from: defaults, searchpath or all":
        "每个选择从何而来：defaults、searchpath 或 all",
    # train
    "of weights, order and dropout": "用于权重、顺序和 dropout",
    "which fold of the split, from 0 on": "划分的第几折，从 0 开始",
    "windows or reviews of a step": "每步的窗口数或评论数",
    "train the traditional twin too, unless the store has it":
        "也训练传统的孪生对照，除非存储中已有",
    "where runs, checkpoints and the MLflow store live": "运行、检查点和 MLflow 存储的位置",
    "what is prepared once; safe to delete": "只准备一次的内容；可以放心删除",
    "of a run; null: 2, fewer where there are fewer cores":
        "一次运行的线程数；null：2，核较少时更少",
    "how long; trainer.max_steps=... too": "训练多久；也可用 trainer.max_steps=...",
    "auto, cpu, gpu, cuda or mps": "auto、cpu、gpu、cuda 或 mps",
    "how many, with trainer.strategy=ddp_fork; or one GPU: [0]":
        "个数，与 trainer.strategy=ddp_fork 同用；或一个 GPU：[0]",
    "32-true, 64-true, bf16-mixed, 16-mixed, bf16-true or 16-true":
        "32-true、64-true、bf16-mixed、16-mixed、bf16-true 或 16-true",
    "of the chosen optimizer; auto searches it on validation data":
        "所选优化器的学习率；auto 在验证数据上搜索",
    "as all knobs of a choice: --cfg job lists what there is":
        "一个选择的其他设置也这样写：--cfg job 列出全部",
    "of prices: return, level or volatility": "用于价格：return、level 或 volatility",
    "your own data, with data=prices or data=texts":
        "你自己的数据，与 data=prices 或 data=texts 同用",
    "or a plugin of Hydra's: joblib, submitit_slurm, ...":
        "或 Hydra 的插件：joblib、submitit_slurm 等",
    "with -m; or a plugin of Hydra's: optuna": "与 -m 同用；或 Hydra 的插件：optuna",
    "once it has finished, the run becomes a model of MLflow":
        "运行完成后登记为 MLflow 的模型",
    "what the version is called beside its number": "版本除编号之外的别名",
    "of the model; without it upgate, the task and its target":
        "模型的名称；不给时为 upgate、任务及其目标",
    "a file of words": "一个文件中的设置",
    # the other commands
    "the range of a key, as [1e-4,1e-1,log], in place of that in conf/; null: not searched":
        "一个键的范围，例如 [1e-4,1e-1,log]，代替 conf/ 中的；null：不搜索",
    "where the runs and the store are": "运行和存储的位置",
    "of the page; without it the terminal's": "页面的语言；不给时与终端相同",
    "of the terminal; without it LC_ALL, LC_MESSAGES or LANG decide":
        "终端的语言；不给时由 LC_ALL、LC_MESSAGES 或 LANG 决定",
    "the study: latest, or its id": "研究：latest，或它的 id",
    "the article's claim instead": "改为文章的主张",
    "a search instead: latest, or its id": "改为一次搜索：latest，或它的 id",
    "a run instead: which days or words made its forecasts, and its"
    " twin's; latest, its id, or the start of its key":
        "改为一次运行：它与孪生对照的预测由哪些天或哪些词决定；latest、它的 id 或键的开头",
    "the page's file; of a search tune.html, of a run run.html":
        "页面的文件；搜索为 tune.html，运行为 run.html",
    "how many rows; all; with --json all": "多少行；all 为全部；用 --json 时为全部",
    "FINISHED, FAILED, KILLED or RUNNING": "FINISHED、FAILED、KILLED 或 RUNNING",
    "any parameter of the runs, as optimizer=adam seed=0":
        "运行的任意参数，例如 optimizer=adam seed=0",
    "a run's id, or the start of its key": "运行的 id，或键的开头",
    "latest, a run's id, or the start of its key": "latest、运行的 id 或键的开头",
    "prices or texts; without it the run's own prices": "价格或文本；不给时为该运行自己的价格",
    "of a run of reviews: one text": "用于评论的运行：一段文本",
    "all, of prices: a path, a row for each run that differs in task.horizon alone: the return over"
    " so many trading days as the price on the last, or the mean volatility of all; each interval"
    " is of its own forecast, not of the path":
        "all，用于价格：一条路径，只在 task.horizon 上不同的每次运行各一行：这么多个交易日的收益率"
        "，以最后一天的价格表示，或各天的平均波动率；每个区间只属于它自己的预测，不属于整条路径",
    "of prices: the share of days that it is to hold": "用于价格：区间应覆盖的日子的比例",
    "a csv in place of the table; of a path also its picture, a png, svg or pdf":
        "写成 csv，代替表格；路径还可写成图片：png、svg 或 pdf",
    "of the input example; without it the run's own prices":
        "输入示例的数据；不给时为该运行自己的价格",
    "of a run of reviews: the input example": "用于评论的运行：输入示例",
    "onnx, for onnxruntime and others; torch, torch.export's .pt2":
        "onnx，供 onnxruntime 等使用；torch，即 torch.export 的 .pt2",
    "without it TASK-KEY.onnx or .pt2, here; what prepares its inputs stands beside it in"
    " FILE.json":
        "不给时为当前位置的 TASK-KEY.onnx 或 .pt2；如何准备输入写在旁边的 FILE.json 中",
    "a table: csv, tsv, parquet or feather; a row is a run":
        "一个表：csv、tsv、parquet 或 feather；每行一次运行",
    "or a store, as sqlite:///mlflow.db, with the next key":
        "或一个存储，例如 sqlite:///mlflow.db，与下一个键同用",
    "whose runs are compared": "比较其中的运行",
    "of its runs, as \"params.lr = '0.1'\"": "筛选运行，例如 \"params.lr = '0.1'\"",
    "the table of test items, where runs have several": "测试样本的表，当运行有几个表时",
    "the verdict becomes a run of the store, in upgate-judge":
        "结论成为存储中 upgate-judge 下的一次运行",
    "the column that decides": "据以判定的列",
    "what is compared": "比较什么",
    "of the group: with which": "group 中作为基线的值",
    "what pairs the runs, where there are such columns; none: unpaired":
        "按什么配对，当有这些列时；none：不配对",
    "several data sets, one answer": "几个数据集，一个回答",
    "where a row is one test item's loss: intervals over seeds and items":
        "当每行是一个测试样本的损失时：区间按种子与样本",
    "lower or higher; without it the metric's name says it":
        "lower 或 higher；不给时由指标的名称决定",
    "in the metric's units; without it 1% of the baseline's mean":
        "以指标的单位计；不给时为基线均值的 1%",
    "the level": "显著性水平",
    "the test part's share of a fold, for comparisons over folds alone":
        "测试部分在一折中的比例，仅用于只按折的比较",
    "an HTML page of it": "写成一个 HTML 页面",
    "of 127.0.0.1": "127.0.0.1 的端口",
    "in place of the screen": "写入文件，代替屏幕",
    # study
    "which recipes are compared": "比较哪些配方",
    "how many, from 0 on, or which: [0,3,7]; rates are searched with seeds from 100 on":
        "从 0 开始的个数，或哪几个：[0,3,7]；学习率用 100 以后的种子搜索",
    "how many, or which; null: every fold of the split": "个数，或哪几个；null：划分的每一折",
    'recipes of study=arms, the baseline first: "traditional, upgraded, upgraded clip=none"':
        'study=arms 的配方，基线在前："traditional, upgraded, upgraded clip=none"',
    "what is equal for all: steps, or wall time, in epochs that the baseline's pays":
        "各配方什么相同：steps 为步数，wall 为训练时间，以基线的轮数计",
    "first tune every arm's parts with so many trials each, on validation data":
        "先在验证数据上为每个配方的部件调参，各做这么多次试验",
    "auto: where arms differ in optimizer, schedule, init or regularization, each arm's"
    " learning rate is searched first, with equal effort; given: as the words have it; null:"
    " auto, but a stored study at the rates as given goes on with these":
        "auto：各配方的 optimizer、schedule、init 或 regularization 不同时，先以相同的试验次数"
        "为每个配方搜索学习率；given：照所给的使用；null：同 auto，"
        "但存储中已按所给学习率进行的研究照此继续",
    "of study=parts: Shapley values from so many orders of the parts, each one and its"
    " reverse, in place of main effects, which assume that no three parts interact":
        "用于 study=parts：由部件的这么多种顺序及其逆序估计 Shapley 值，"
        "代替假定没有三个部件交互作用的主效应",
    "numbers of seeds at which the study may answer, and so be extended; null: 6, 9, 12, 18"
    " where study.seeds is one of them, else one look":
        "研究可以回答的种子数，因而可以追加；null：study.seeds 是其中之一时为 6、9、12、18，"
        "否则只查看一次",
    "of interest; null: 1% of MSE; .3 points of accuracy on 10,000 items, else 1 point":
        "最小关注效应；null：MSE 的 1%；10,000 条样本时准确率 0.3 个百分点，否则 1 个",
    "the level of the primary question": "主要问题的显著性水平",
    "the arm of the primary question; null: upgraded, or the second of named arms":
        "主要问题的配方；null：upgraded，或所列配方的第二个",
    "train the baseline on as many other seeds: the noise floor":
        "用同样多的另一组种子训练基线：噪声水平",
    "train a run with independent updates, which must change nothing":
        "训练一次各层独立更新的运行，它不应改变任何结果",
    'data sets, for one answer over all: "data.path=a.csv, data.path=b.csv", files/*.csv,'
    " or tickers":
        '几个数据集，一个总的回答："data.path=a.csv, data.path=b.csv"、files/*.csv 或 tickers',
    "article: the article's claim, in its own setting and in a fair one":
        "article：文章的主张，在它自己的设定和公平的设定中",
    "go on after the plan without asking, as --yes": "给出计划后不询问，直接继续，与 --yes 相同",
    # tune
    "how the trials are drawn": "如何抽取试验",
    "of each arm, the untuned recipe among them; null: 30, or a grid's points":
        "每个配方的试验次数，未调参的配方也算一次；null：30，或网格的点数",
    "points of a grid along each axis": "网格每个轴上的点数",
    "recipes, each tuned on the same list of points; null: the one that is asked for":
        "几个配方，各用同一列点调参；null：所给的那一个",
    "of cross-validation; null: 3, or 1 where reviews have an official validation part":
        "交叉验证的折数；null：3，评论有官方验证部分时为 1",
    "prices: search anew before each block of walk-forward, and test the winner on it":
        "价格：walk-forward 的每一段之前重新搜索，并在该段上测试最佳者",
    "of the list of points, and by it of the trainings: 100 (seed + 1) and on":
        "点列的种子，训练的种子由它而来：从 100 (seed + 1) 开始",
    "tpe: points asked for together, from the results of the generations before":
        "tpe：根据前几代的结果，一次给出的点数",
    "tpe: points of the shared random list before that": "tpe：在此之前共用的随机点数",
    "trials that get more seeds before the choice": "选择之前用更多种子再试的试验数",
    "how many more": "再加几个",
    "folds: stop bad trials early, by full runs; epochs is refused, with the reason":
        "folds：按完整的运行提前停止差的试验；epochs 会被拒绝，并说明原因",
    "search these keys alone, as [optimizer.lr]; null: all that have a range":
        "只搜索这些键，例如 [optimizer.lr]；null：所有有范围的键",
    "of Optuna's record; null: sqlite in the root": "Optuna 记录的位置；null：root 中的 sqlite",
    "false leaves the test part closed: the search ends with its choice":
        "false 不打开测试部分：选定之后即结束",
}  # fmt: skip
