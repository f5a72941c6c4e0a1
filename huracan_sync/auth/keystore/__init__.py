"""Where refresh tokens and keys are kept: the OS keyring, else an encrypted vault, else secret files.

May import `disk`, `secret`, `errors`. Nothing is opened before the first call that needs it.
"""
