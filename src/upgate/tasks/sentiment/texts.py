"""The texts of the task's runs and reports, and its significance tests' names in stored studies."""

from pathlib import Path

from upgate.messages import Messages

TEXTS = Path(__file__).with_name("translations.yaml")
say = Messages(TEXTS)  # on the terminal
ITEMS = "item bootstrap"
MCNEMAR = "McNemar, twice the median over runs"
OLD_MCNEMAR = "McNemar, median over runs"  # in studies that an older version wrote
TEST_TEXTS = {
    ITEMS: "test_items",
    MCNEMAR: "test_mcnemar",
    OLD_MCNEMAR: "test_mcnemar_median",
}
