"""Campaigns that try to break cifar-edge: ``make hardening``, or ``python -m hardening`` with ``tests`` on the path.

They are no tests of the suite, which tests their machinery alone (``test_campaign``).
"""
