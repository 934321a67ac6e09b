"""Settings for every test."""

from hypothesis import settings

# A busy machine makes any example slow at times: pytest's timeout is the limit, and failures print how to repeat them.
settings.register_profile("corral", deadline=None, print_blob=True)
settings.load_profile("corral")
