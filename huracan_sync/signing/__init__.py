"""Stating in a signed head what lies in Dropbox: one atomic act.

    chain.py     what lies there, and what may come after it; pure
    merging.py   one list out of ours and theirs; pure
    act.py       the act, step by step; it says what to do and is told what came of it, so that any order can be tried
    board.py     does what it says, in Dropbox
    sealer.py    the act for this machine: its keys, its memory

Laws. Files are in place before a body names them, bodies before a head does; then a copy of the head in the log; then
the head replaces exactly the one that was looked at. That swap is the commit, and the only one. Nobody's commit is
lost: who comes second goes on from the first. After an answer that did not come the chain of heads tells what happened;
the same change is never made twice. Nothing goes on from a head that no reader would accept.
"""
