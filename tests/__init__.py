"""Tests, one file a module, and the real servers that they run on."""
