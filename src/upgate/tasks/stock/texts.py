"""The texts of the task's runs and reports, and its significance tests' names in stored studies."""

from pathlib import Path

from upgate.messages import Messages

TEXTS = Path(__file__).with_name("translations.yaml")
say = Messages(TEXTS)  # on the terminal
BOTH_WAYS, SEEDS_FIXED = "seeds and dates", "Diebold-Mariano, trained seeds as fixed"
OVER_PERSISTENCE = "Clark-West, persistence"
TEST_TEXTS = {
    BOTH_WAYS: "test_both",
    SEEDS_FIXED: "test_fixed",
    OVER_PERSISTENCE: "test_persistence",
}
