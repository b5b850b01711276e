"""The texts of the task's reports, and the names of its significance tests in stored studies."""

from pathlib import Path

TEXTS = Path(__file__).with_name("translations.yaml")
ITEMS = "item bootstrap"
MCNEMAR = "McNemar, twice the median over runs"
OLD_MCNEMAR = "McNemar, median over runs"  # in studies that an older version wrote
TEST_TEXTS = {
    ITEMS: "test_items",
    MCNEMAR: "test_mcnemar",
    OLD_MCNEMAR: "test_mcnemar_median",
}
