"""Made-up inputs by the hundred: what must hold whatever arrives, in whatever order."""

from hypothesis import HealthCheck, settings

# The same examples in every run, and nothing that would be a statement about speed. To look for new ones:
# `./run test tests/property --hypothesis-profile=search`.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("repeat", CALM, derandomize=True, max_examples=50)
settings.register_profile("search", CALM, max_examples=500)
settings.load_profile("repeat")
