"""What holds for every test."""

from hypothesis import settings

pytest_plugins = ["tests.left_journals"]

# A machine that is busy with real servers is no reason to call a property slow.
settings.register_profile("regnal", deadline=None)
settings.load_profile("regnal")
