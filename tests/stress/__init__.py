"""Stress runs: real servers, real threads and real faults.

``run_stress.py`` runs the scenarios on releases with and without the series,
and prints what came of it. Each of the modules that is named for a fault is a
scenario, and its functions are the cases of that. The cases, and the modules
that they use, are run by the Python that Djblets is run with, 2.7 or any later
one.
"""
