"""Push, restore, publish, verify, audit, migrate: each returns a plan or a report.

May import `signing`, `transfer`.
"""
