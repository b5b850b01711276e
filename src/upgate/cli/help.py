"""What `upgate --help` prints."""

HELP = """\
upgate: does the upgraded LSTM recipe help on your data, which part of it, by how much?

  upgate train task=stock                    the recipe, its traditional twin and the baselines
  upgate train task=stock clip=norm clip.max_norm=0.5 seed=3
  upgate train -m optimizer=sgd,adam clip=none,norm seed=0,1,2    every combination
  upgate study task=stock study=pair         the plan; both recipes over 6 seeds; the verdict
  upgate study selftest                      how often a verdict is wrong where nothing differs
  upgate study experiment=article task=stock     the article's claim, in its setting and a fair one
  upgate tune task=stock search=random       the plan; trials by cross-validation; the winner,
                                             tested once beside the recipe as it is
  upgate report study=latest [out=report.html] [report.language=en|zh]    one HTML page; tune=latest
  upgate runs [task=stock] [optimizer=adam] [status=FINISHED] [limit=all] [--json]   any parameter
  upgate delete run=KEY [--yes]              a run, from the lists and from this disk
  upgate judge data.path=runs.csv metric=accuracy group=model baseline=lstm [pair=[seed,fold]]
                                             verdicts on anybody's runs: a table or an MLflow store
  upgate predict run=latest data.path=prices.csv [out=forecast.csv] [interval=0.95]
  upgate ui                                  the MLflow UI on the same store
  upgate check-part GROUP=NAME [--config-dir DIR]    the properties of all parts, on your own

train takes group=choice and key=value, as Hydra does:
  upgate train --choices          groups and their choices
  upgate train --cfg job          the full configuration
  upgate train --combinations     choices that cannot be combined
  -m, --multirun                  sweep over comma lists, range(...), glob(...)
  --config-dir DIR                a folder of your own choices, laid out as conf/; beside a yaml the
                                  code of your own task (report, runs and predict take it too,
                                  for runs of such a task)

study takes the overrides of train, which hold for every arm, --config-dir, --yes (no question
after the plan), and its own:
  study=pair|parts|factorial|arms   study.arms="traditional, upgraded, upgraded clip=none"
  study.seeds=6   study.folds=[0,1]   study.smallest_effect=0.01   study.alpha=0.05
  study.aa=true   study.zero=true   study.yes=false   study.tune=20
  study.over="data.path=a.csv, data.path=b.csv" (one answer over data sets; files/*.csv; tickers)
  study.shapley=8 (study=parts: shares from so many orders of the parts)
  study.rates=auto|given (each recipe's learning rate searched first, or as it is)
  study.budget=steps|wall (equal for all: steps, or wall time)
  experiment=article (the article's claim, fact-checked)

tune takes the overrides of train, --config-dir, --yes, and its own; the same command resumes:
  search=grid|random|sobol|tpe   tune.trials=30   tune.per_axis=3 (grid)
  tune.arms=[traditional,upgraded]   tune.folds=3   tune.only=[optimizer.lr]   tune.nested=false
  tune.space.optimizer.lr=[1e-4,1e-1,log]   tune.space.batch_size=null
  tune.prune=none|folds   tune.top=5   tune.top_seeds=2   tune.generation=4   tune.startup=10
  tune.seed=0   tune.storage=sqlite:///optuna.db   tune.test=true   tune.yes=false

judge takes a table or a store, what is compared, and what pairs the runs:
  data.path=FILE (csv, tsv, parquet), or mlflow.uri=sqlite:///mlflow.db mlflow.experiment=NAME
  [mlflow.filter="params.lr = '0.1'"]   metric=NAME group=COLUMN baseline=VALUE
  pair=[seed,fold] (its default where there are such columns; pair=none: unpaired)   over=COLUMN
  better=lower|higher   smallest_effect=0.01   alpha=0.05   test_share=0.2 (folds alone)
  items=COLUMN (a row is a run's loss on one test item or date: intervals over seeds and items),
  of a file, or of a table among each run's artifacts [mlflow.artifact=PATH where there are several]
  [out=page.html] [report.language=en|zh] [--json] [write=true: the verdict becomes a run of the
  store, in the experiment upgate-judge]

exit codes: 0 done, 1 a run failed, 2 the request cannot be carried out (one sentence says why),
130 interrupted
"""
