"""Continuous sync: when to act (scheduler, watcher), how it is (status), and the page that shows it (dashboard)."""
