"""What the tests share."""

import pytest

# Checks of engines say what they found, as those in a test file do.
pytest.register_assert_rewrite("helpers.engine.image_checks", "helpers.engine.compose_checks")
