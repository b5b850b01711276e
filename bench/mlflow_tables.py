"""Write the tables of a new MLflow database to src/upgate/store/mlflow_tables.sql.

python bench/mlflow_tables.py

After MLflow was upgraded; until then a store of the new version is made by MLflow's migrations.
"""

import tempfile
from pathlib import Path

from mlflow import __version__ as version

from upgate.store.connect import TABLES, dump_tables, migrate

if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlflow.db"
        migrate(path, Path(folder))
        TABLES.write_text(f"-- MLflow {version}, by its migrations\n{dump_tables(path)}")
