"""Every reason for which signed data is refused, in the order in which the checks are made.

Each reason is a code of `Refused`, the same that `manifest/FORMAT.md` uses. The checks stop at the first reason:
nothing that comes later on this page was looked at. None of these is worth trying again with the same bytes.
"""

from __future__ import annotations

from huracan_sync.errors import Refused

_TAMPERED = "somebody may be tampering with the Dropbox folder; Hamilton keeps what was last known good"

HINTS: dict[str, str] = {
    # This machine's clock is more than five minutes behind what was already seen: freshness cannot be judged.
    "CLOCK": "set this machine's clock, then run the same command again",
    # --- the trust file ---
    # A trust file is not one: its size, magic, lengths, fields or spelling.
    "TRUST_FORMAT": _TAMPERED,
    # A trust file is not signed by the root key that this machine has pinned.
    "TRUST_PIN": "compare the pinned fingerprint with what `huracan-sync keys show` prints on the engine",
    # Too few of the root keys, of this version or of the one before, have signed a trust file; or one badly.
    "TRUST_SIGNATURES": _TAMPERED,
    # A trust file does not follow from the one before: its version, an epoch, or a revocation taken back.
    "TRUST_CHAIN": _TAMPERED,
    # The newest trust file is older than it allows itself to be.
    "TRUST_EXPIRED": "on the machine with the root key run `huracan-sync keys rotate`",
    # It is of another root folder, account or service than the one asked for.
    "WRONG_ROOT": "somebody may have copied another root folder's files here; compare the pin with `keys show`",
    # --- the head ---
    # A name that no channel may have.
    "CHANNEL_NAME": "a channel is lower-case letters, digits, `.`, `_`, `-`, in at most four parts divided by `/`",
    # The trust file says nothing about the channel, so nobody may sign for it.
    "CHANNEL_UNKNOWN": "add the channel with `huracan-sync keys rotate` on the machine with the root key",
    # A channel that had a head has none any more: somebody took it away.
    "HEAD_MISSING": _TAMPERED,
    # A head is not one: its size, magic, lengths or fields.
    "HEAD_FORMAT": _TAMPERED,
    # A signature under the name of a known key is not by that key.
    "BAD_SIGNATURE": _TAMPERED,
    # The signature is by a key that was revoked, and without it there are too few.
    "KEY_REVOKED": "publish again with a key that is not revoked",
    # The signature is by a known key that may not sign for this channel, and without it there are too few.
    "KEY_CHANNEL": _TAMPERED,
    # Fewer trusted keys have signed than the channel asks for.
    "THRESHOLD": _TAMPERED,
    # The same values have another spelling than the one they must have.
    "NOT_CANONICAL": _TAMPERED,
    # A head or a body was signed for another channel than the one asked for.
    "WRONG_CHANNEL": _TAMPERED,
    # A head was made under a newer trust file than can be found.
    "TRUST_TOO_OLD": "somebody may be withholding the newer trust file; Hamilton keeps what was last known good",
    # A head belongs to another epoch than the trust file says the channel is in.
    "EPOCH": "publish again: the root key began a new epoch, and what was signed before it no longer counts",
    # A key signed outside the time in which it may, and without it there are too few.
    "KEY_WINDOW": "give the key more time with `huracan-sync keys rotate` on the machine with the root key",
    # A head says it was made later than now.
    "FUTURE": "compare the clocks of this machine and of the one that publishes; if the head is wrong, begin a new "
    "epoch with `huracan-sync keys recover --channel CHANNEL` on the machine with the root key",
    # A head claims to be good for longer than its channel allows.
    "LIFETIME": _TAMPERED,
    # A head is older than one that was already seen here.
    "ROLLBACK": "somebody may have put an old head back; Hamilton keeps what was last known good",
    # Two different heads claim the same place in the channel's history.
    "FORK": "two publishers may share one key: find out which head is right, then begin a new epoch with "
    "`huracan-sync keys recover --channel CHANNEL` on the machine with the root key",
    # A head far above the one seen before does not lead back to it.
    "GAP": "the history between may be withheld or another one; once a person has found out which head is right, say "
    "so with `huracan-sync keys trust --at-least SEQ`",
    # A head is so far ahead of the last one that nobody can have published all between them.
    "SEQUENCE_JUMP": "the signing key may be stolen: revoke it (`huracan-sync keys revoke`), which begins a new epoch",
    # The newest head is past its time. Good for managing open positions, not for new risk.
    "STALE": "find out why the publisher stopped; `allow_stale` reads it all the same, until it is dead",
    # The newest head is so far past its time that nobody may use it.
    "DEAD": "find out why the publisher stopped, and publish again",
    # --- the body ---
    # A signed number is larger than this channel or the format allows.
    "LIMIT": "publish fewer files, or raise the channel's limit with `huracan-sync keys rotate`",
    # A head names a body that is not there.
    "BODY_MISSING": _TAMPERED,
    # A body has not the length or the SHA-256 that was signed for it.
    "BODY_HASH": _TAMPERED,
    # A body is not one: its magic, compression or fields.
    "BODY_FORMAT": _TAMPERED,
    # A body holds another number of entries than was signed.
    "ENTRY_COUNT": _TAMPERED,
    # Entries are not in the order of their paths, or a path occurs twice.
    "ORDER": _TAMPERED,
    # An entry has a path that no tree may hold.
    "PATH": "publish again without the file that has this name",
    # An entry lies outside the folder that the trust file gives to the channel.
    "PATH_PREFIX": _TAMPERED,
    # Two entries cannot lie side by side: their names differ in case alone, or one is the folder of the other.
    "COLLISION": "publish again with one of the two files renamed",
    # An entry's block hashes do not make its content hash.
    "BLOCKS": _TAMPERED,
    # --- the files ---
    # A kind of file that the channel does not allow. Opening a pickle runs whatever program is in it.
    "KIND": "use a format that can hold only data: ONNX, safetensors, XGBoost UBJ, LightGBM text (docs/pickle.md); "
    "opaque data (never a pickle) can be allowed with `huracan-sync keys rotate --channel CHANNEL --kind opaque`",
    # A file that came from Dropbox and that no manifest lists: only its maker, or a person, can say that it is right.
    "UNSIGNED_CONTENT": "look at the files; if they are what you mean, run it again with --vouch PATH",
    # What a manifest lists is not what lies in Dropbox, and the listed revision cannot be had any more.
    "CONTRADICTED": "push it again where it still is; or take what lies in Dropbox, unverified, with --unsigned",
    # A JSON or text file that was signed does not hold what the engine and Hamilton agreed on.
    "CONTRACT": "the bytes are as they were signed (`snapshot.read`); publish a file of the agreed form",
    # --- signatures made by ssh-keygen ---
    # An armored OpenSSH signature is not one that this format knows.
    "SSHSIG_FORMAT": "make it with `ssh-keygen -Y sign` and an Ed25519 key",
}
"""What to do, by code."""


def refused(code: str, message: str, *, hint: str | None = None, **facts: object) -> Refused:
    """The error for one of the reasons above, with the hint that belongs to it."""
    return Refused(message, code=code, hint=HINTS[code] if hint is None else hint, **facts)
