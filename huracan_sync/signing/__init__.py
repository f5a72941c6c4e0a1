"""Private keys, trust files, and the publish transaction.

May import `transfer`, `reader`, `auth`.

Laws. Files are in place before a body names them, bodies before a head does; then a copy of the head goes into the log;
then the head replaces exactly the one that was read. That swap is the commit, and the only one. No commit is lost: the
second one goes on from the first. When no answer comes, the chain of heads tells what happened, and the same change is
never made twice. Nothing goes on from a head that no reader would accept.
"""
