"""An acceptance run of the forwarding cache backend, on real Review Board.

``application``, ``populate`` and ``set_cache`` are run by the Python of a
Review Board release, which may be 2.7. So are ``set_up_review`` and
``set_up_review_bot``, on Python 3 alone. Everything else is the run's own, for
Python 3.8 and newer.
"""
