"""Journal, comparison of both sides, uploads and downloads: the only place that starts threads for bytes.

May import `remote`, `disk`, `manifest`.
"""
