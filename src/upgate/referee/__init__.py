"""The referee: verdicts about anybody's runs, from a table or an MLflow store."""
