"""The explanation as a test among others."""


def test_the_verdict_comes_from_opinions(scrub):
    scrub("hypotheses.py::opinions", margin=0.05, floor=0.9, baseline="constant")
