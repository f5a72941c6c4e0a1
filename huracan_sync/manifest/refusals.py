"""Every reason for which signed data is refused, in the order in which the checks are made.

Each class is one reason and has one `code`, which `signed/FORMAT.md` uses too. The checks stop at the first reason:
nothing that comes later in this page was looked at. None of these is worth trying again with the same bytes.
"""

from __future__ import annotations

from huracan_sync.errors import Refused

_TAMPERED = "somebody may be tampering with the Dropbox folder; Hamilton keeps what was last known good"


class ClockBehind(Refused):
    """This machine's clock is more than five minutes behind what was already seen: freshness cannot be judged."""

    code = "CLOCK"
    default_hint = "set this machine's clock, then run the same command again"


# --- the trust file ---------------------------------------------------------------------------------------------


class TrustFormat(Refused):
    """A trust file is not one: its size, magic, lengths, fields or spelling."""

    code = "TRUST_FORMAT"
    default_hint = _TAMPERED


class TrustPin(Refused):
    """A trust file is not signed by the root key that this machine has pinned."""

    code = "TRUST_PIN"
    default_hint = "compare the pinned fingerprint with what `huracan-sync keys show` prints on the engine"


class TrustSignatures(Refused):
    """Too few of the root keys, of this version or of the one before, have signed a trust file; or one badly."""

    code = "TRUST_SIGNATURES"
    default_hint = _TAMPERED


class TrustChain(Refused):
    """A trust file does not follow from the one before: its version, an epoch, or a revocation taken back."""

    code = "TRUST_CHAIN"
    default_hint = _TAMPERED


class TrustExpired(Refused):
    """The newest trust file is older than it allows itself to be."""

    code = "TRUST_EXPIRED"
    default_hint = "on the machine with the root key run `huracan-sync keys rotate`"


# --- the head ---------------------------------------------------------------------------------------------------


class ChannelName(Refused):
    """A name that no channel may have."""

    code = "CHANNEL_NAME"
    default_hint = "a channel is lower-case letters, digits, `.`, `_`, `-`, in at most four parts divided by `/`"


class ChannelUnknown(Refused):
    """The trust file says nothing about the channel, so nobody may sign for it."""

    code = "CHANNEL_UNKNOWN"
    default_hint = "add the channel with `huracan-sync keys rotate` on the machine with the root key"


class HeadMissing(Refused):
    """A channel that had a head has none any more: somebody took it away."""

    code = "HEAD_MISSING"
    default_hint = _TAMPERED


class HeadFormat(Refused):
    """A head is not one: its size, magic, lengths or fields."""

    code = "HEAD_FORMAT"
    default_hint = _TAMPERED


class BadSignature(Refused):
    """A signature under the name of a known key is not by that key."""

    code = "BAD_SIGNATURE"
    default_hint = _TAMPERED


class KeyRevoked(Refused):
    """The signature is by a key that was revoked, and without it there are too few."""

    code = "KEY_REVOKED"
    default_hint = "publish again with a key that is not revoked"


class KeyNotForChannel(Refused):
    """The signature is by a known key that may not sign for this channel, and without it there are too few."""

    code = "KEY_CHANNEL"
    default_hint = _TAMPERED


class TooFewSignatures(Refused):
    """Fewer trusted keys have signed than the channel asks for."""

    code = "THRESHOLD"
    default_hint = _TAMPERED


class NotCanonical(Refused):
    """The same values have another spelling than the one they must have."""

    code = "NOT_CANONICAL"
    default_hint = _TAMPERED


class WrongChannel(Refused):
    """A head or a body was signed for another channel than the one asked for."""

    code = "WRONG_CHANNEL"
    default_hint = _TAMPERED


class TrustTooOld(Refused):
    """A head was made under a newer trust file than can be found."""

    code = "TRUST_TOO_OLD"
    default_hint = "somebody may be withholding the newer trust file; Hamilton keeps what was last known good"


class WrongEpoch(Refused):
    """A head belongs to another epoch than the trust file says the channel is in."""

    code = "EPOCH"
    default_hint = "publish again: the root key began a new epoch, and what was signed before it no longer counts"


class KeyWindow(Refused):
    """A key signed outside the time in which it may, and without it there are too few."""

    code = "KEY_WINDOW"
    default_hint = "give the key more time with `huracan-sync keys rotate` on the machine with the root key"


class FromTheFuture(Refused):
    """A head says it was made later than now."""

    code = "FUTURE"
    default_hint = "compare the clocks of this machine and of the one that publishes"


class LifetimeTooLong(Refused):
    """A head claims to be good for longer than its channel allows."""

    code = "LIFETIME"
    default_hint = _TAMPERED


class Rollback(Refused):
    """A head is older than one that was already seen here."""

    code = "ROLLBACK"
    default_hint = "somebody may have put an old head back; Hamilton keeps what was last known good"


class Fork(Refused):
    """Two different heads claim the same place in the channel's history."""

    code = "FORK"
    default_hint = "two publishers may share one key: find out which head is right, then begin a new epoch"


class SequenceJump(Refused):
    """A head is so far ahead of the last one that nobody can have published all between them."""

    code = "SEQUENCE_JUMP"
    default_hint = "the signing key may be stolen: revoke it with `huracan-sync keys revoke`, which begins a new epoch"


class Stale(Refused):
    """The newest head is past its time. Good for managing open positions, not for new risk."""

    code = "STALE"
    default_hint = "find out why the publisher stopped; `allow_stale` reads it all the same, until it is dead"


class Dead(Refused):
    """The newest head is so far past its time that nobody may use it."""

    code = "DEAD"
    default_hint = "find out why the publisher stopped, and publish again"


# --- the body ---------------------------------------------------------------------------------------------------


class LimitExceeded(Refused):
    """A signed number is larger than this channel or the format allows."""

    code = "LIMIT"
    default_hint = "publish fewer files, or raise the channel's limit with `huracan-sync keys rotate`"


class BodyMissing(Refused):
    """A head names a body that is not there."""

    code = "BODY_MISSING"
    default_hint = _TAMPERED


class BodyHash(Refused):
    """A body has not the length or the SHA-256 that was signed for it."""

    code = "BODY_HASH"
    default_hint = _TAMPERED


class BodyFormat(Refused):
    """A body is not one: its magic, compression or fields."""

    code = "BODY_FORMAT"
    default_hint = _TAMPERED


class EntryCount(Refused):
    """A body holds another number of entries than was signed."""

    code = "ENTRY_COUNT"
    default_hint = _TAMPERED


class WrongOrder(Refused):
    """Entries are not in the order of their paths, or a path occurs twice."""

    code = "ORDER"
    default_hint = _TAMPERED


class PathRefused(Refused):
    """An entry has a path that no tree may hold."""

    code = "PATH"
    default_hint = "publish again without the file that has this name"


class PathOutside(Refused):
    """An entry lies outside the folder that the trust file gives to the channel."""

    code = "PATH_PREFIX"
    default_hint = _TAMPERED


class Collision(Refused):
    """Two entries cannot lie side by side: their names differ in case alone, or one is the folder of the other."""

    code = "COLLISION"
    default_hint = "publish again with one of the two files renamed"


class BlocksMismatch(Refused):
    """An entry's block hashes do not make its content hash."""

    code = "BLOCKS"
    default_hint = _TAMPERED


class KindRefused(Refused):
    """A kind of file that the channel does not allow. Opening a pickle runs whatever program is in it."""

    code = "KIND"
    default_hint = (
        "write the model in a format that holds data only, such as ONNX, safetensors or XGBoost UBJ (docs/pickle.md)"
    )


class ContractBroken(Refused):
    """A JSON or text file that was signed does not hold what the engine and Hamilton agreed on."""

    code = "CONTRACT"
    default_hint = "the bytes are as they were signed (`snapshot.read`); publish a file of the agreed form"


class SignatureFormat(Refused):
    """An armored OpenSSH signature is not one that this format knows."""

    code = "SSHSIG_FORMAT"
    default_hint = "make it with `ssh-keygen -Y sign` and an Ed25519 key"
