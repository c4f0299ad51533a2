"""Set-up that all tests of the self-checks share."""

import pytest

pytest.register_assert_rewrite("tests.checks.answers")  # its failed asserts then show their values
