"""Tests, one file a module, and the real servers they run on; helpers may assert as tests do."""

import pkgutil

import pytest

pytest.register_assert_rewrite(
    *(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__))
)
