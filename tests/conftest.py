"""Settings for every test."""

from hypothesis import settings

# A busy machine makes any example slow at times: pytest's timeout is the limit, and failures print how to repeat them.
# `make test` chooses and prints the seed, in CI too, where hypothesis by itself would use the same one for ever.
settings.register_profile("corral", deadline=None, print_blob=True, derandomize=False)
settings.load_profile("corral")
