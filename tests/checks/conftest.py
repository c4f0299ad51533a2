"""What the tests of the self-checks share."""

import pytest

pytest.register_assert_rewrite("tests.checks.answers")  # its asserts say what they saw, as a test module's do
