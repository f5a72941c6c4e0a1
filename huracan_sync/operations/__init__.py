"""The verbs: push, restore, publish, verify, audit, migrate. Each returns a plan or a report.

May import `signing`, `transfer` and below.
"""
