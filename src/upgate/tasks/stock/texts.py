"""The texts of the task's reports, and the names of its significance tests in stored studies."""

from pathlib import Path

TEXTS = Path(__file__).with_name("translations.yaml")
BOTH_WAYS, SEEDS_FIXED = "seeds and dates", "Diebold-Mariano, trained seeds as fixed"
OVER_PERSISTENCE = "Clark-West, persistence"
TEST_TEXTS = {
    BOTH_WAYS: "test_both",
    SEEDS_FIXED: "test_fixed",
    OVER_PERSISTENCE: "test_persistence",
}
