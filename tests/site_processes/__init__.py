"""Processes of one site, for test_site_processes."""
