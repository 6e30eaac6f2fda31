"""What holds for every test."""

from hypothesis import settings

# A machine that is busy with real servers is no reason to call a property slow.
settings.register_profile("regnal", deadline=None)
# For `make test-fuzz`: --hypothesis-profile=thorough wins over what is loaded here.
settings.register_profile("thorough", deadline=None, max_examples=3000)
settings.load_profile("regnal")
