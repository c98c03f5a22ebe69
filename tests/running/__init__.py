"""What runtests.py runs, and how it adds up."""
