"""Campaigns that try to break cifar-edge: ``make hardening``, or ``python -m hardening`` with ``tests`` on the path.

No test of the suite: pytest collects none of these modules.
"""
