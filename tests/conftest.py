"""Every jaxpr that a test makes is verified, and hypothesis draws the same examples at every run."""

import os

os.environ.setdefault("FNETS_CHECK_JAXPRS", "1")

import hypothesis

hypothesis.settings.register_profile("fnets", deadline=None, derandomize=True, max_examples=40)
hypothesis.settings.load_profile("fnets")
