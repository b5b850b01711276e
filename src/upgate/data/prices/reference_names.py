"""The names of the forecasts that cost nothing, which `baselines` computes."""

REFERENCES = ("persistence", "drift", "ar1", "ridge", "har", "har_leverage", "ewma")
