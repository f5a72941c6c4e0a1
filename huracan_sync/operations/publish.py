"""Publish: a set of files that counts all at once or not at all.

    plan (guards) -> kinds, keys -> transfer -> body, log, head

A push brings over what it can and states that; a set is refused whole as long as anything in it is not as it must be:
a conflict, a file that cannot be read, a program in disguise. Until the head is swapped readers see the set before.
What was published stays readable: an earlier set becomes current again without its files being sent again.
"""

from __future__ import annotations

import json
from pathlib import Path

from huracan_sync.auth.session import home_of
from huracan_sync.disk import StableRead
from huracan_sync.errors import Conflict, FileChanged, NoSigningKey, NotFound, Refused
from huracan_sync.manifest import file_kinds
from huracan_sync.manifest.entries import kind_name
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.scope import CHAMPIONS
from huracan_sync.operations.push import Pusher, PushOptions, PushReport
from huracan_sync.remote.client import Remote
from huracan_sync.signing import next_head
from huracan_sync.signing.channel_publisher import ChannelPublisher
from huracan_sync.signing.push_signer import PushSigner, key_place
from huracan_sync.signing.signing_key import KeyPlace
from huracan_sync.signing.transaction import Again, Keep, Published
from huracan_sync.transfer.compare import ChangeSet
from huracan_sync.transfer.journal import Journal
from huracan_sync.transfer.journal.signed_state import want_anew
from huracan_sync.transfer.pair import Pair
from huracan_sync.transfer.progress import Monitor, Silent
from huracan_sync.tree.paths import RelPath
from huracan_sync.tree.plan import Plan

MOST_JSON = 64 * 1024 * 1024
"""Bytes: a larger JSON file is not looked into."""


class PublishReport(PushReport):
    """What a publish came to."""

    channel: str = ""
    files: int = 0
    """How many files the set has."""
    made: bool = False
    """Whether it took a new head; False where the newest said so already."""


class Publisher:
    """One publish of one set."""

    def __init__(
        self, pair: Pair, options: PushOptions, signing: PushSigner, channel_publisher: ChannelPublisher
    ) -> None:
        self.report = PublishReport(channel=signing.channel)
        self.pusher = Pusher(pair, options)
        self.pusher.report = self.report
        self._pair = pair
        self._signing = signing
        self._channel_publisher = channel_publisher

    def look(self) -> tuple[ChangeSet, Plan]:
        """What would have to happen. Writes nothing but the journal.

        Raises:
            Conflict, LocalFailure, HostilePath: the set is not as it must be.
            Refused: `KIND`, a file of it is of a kind that the channel does not allow.
            NoSigningKey, NoTrust: this machine may not sign it.
        """
        seen, made = self.pusher.look()
        self.pusher.guard(seen, made)
        for problem in seen.problems:
            raise problem.error
        for conflict in made.conflicts:
            raise Conflict(
                f"{conflict.path}: {conflict.why}; nothing was published",
                hint="look at both; with --overwrite the local file wins (Dropbox keeps the other revision)",
                path=conflict.path,
            )
        if not seen.local_count:
            raise NotFound(
                f"{self._pair.local} holds no files; an empty set is not published", path=str(self._pair.local)
            )
        self._check_kinds(seen, made)
        return seen, made

    def carry_out(self, seen: ChangeSet, made: Plan) -> None:
        """Bring the files over, then let the set take effect.

        Raises:
            Conflict, LocalFailure, ...: the first reason why a file did not come over. Nothing was published.
            Refused, TryLater, Unavailable: as `Sealer.publish`.
        """
        report, pusher = self.report, self.pusher
        if made.copies:
            self._signing.foresee()
        pusher.transfer(seen, made)
        for failure in report.failed:
            raise failure.error
        stated = self._signing.state(without=_gone(seen), strict=True, anew=pusher.options.overwrite)
        if stated is None:
            raise NoSigningKey("nothing on this machine can sign")
        report.sequence, report.made, report.files = stated.sealed.seq, stated.made, seen.local_count
        self._pair.report_failures(list(stated.superseded), report)
        pusher.count_skipped(seen)

    def _check_kinds(self, seen: ChangeSet, made: Plan) -> None:
        policy = self._channel_publisher.check()
        gone = set(_gone(seen))
        for path in (item.entry.path for item in seen.synced.values()):
            if path not in gone and file_kinds.by_name(path) not in policy.kinds:
                raise _refused(path, file_kinds.by_name(path), policy.name)
        for step in made.copies:
            with StableRead(self._pair.disk, step.path) as reading:
                kind = file_kinds.of(step.path, reading.read(0, file_kinds.SNIFF))
                _check_json(reading, kind)
            if kind not in policy.kinds:
                raise _refused(step.path, kind, policy.name)


def _gone(seen: ChangeSet) -> list[RelPath]:
    """What was part of the set and is not on the disk any more."""
    return [item.entry.path for key, item in seen.synced.items() if key in seen.base and key not in seen.here]


def _check_json(reading: StableRead, kind: file_kinds.Kind) -> None:
    """A JSON file that ends in the middle would be a set nobody can use. What it says is between reader and writer."""
    if kind is not file_kinds.Kind.JSON or reading.stamp.size > MOST_JSON:
        return
    try:
        json.loads(reading.read(0, reading.stamp.size))
    except (ValueError, RecursionError) as error:
        raise FileChanged(
            f"{reading.path} is no JSON ({error}); nothing was published",
            code="HALF_WRITTEN",
            path=reading.path,
            size=reading.stamp.size,
        ) from error


def _refused(path: str, kind: int, channel: str) -> Refused:
    return refused(
        "KIND",
        f"{path} is of kind {kind_name(kind)}, which {channel} does not allow; nothing was published",
        path=path,
        kind=int(kind),
    )


def publish(
    local: str | Path,
    remote_folder: str | None = None,
    *,
    remote: Remote,
    home: Path | None = None,
    options: PushOptions | None = None,
    monitor: Monitor | None = None,
    channel: str = CHAMPIONS,
    keys: KeyPlace | None = None,
) -> PublishReport:
    """Make what `local` holds the set of a channel: all of it or, when anything is wrong, nothing.

    Files that were part of the set and are gone from `local` are no part of it any more; in Dropbox they stay.

    Args:
        local: the folder, laid out as readers look for it (`models/champions/latest/BTCUSDT.bin`).
        remote_folder: where it goes; the login's root folder by default.
        remote: the login.
        home: the state folder.
        options: how; `overwrite` also puts back what another publisher has put in place of this machine's.
        monitor: told what moves.
        channel: the channel.
        keys: where this machine's key is; by default where the environment says.

    Raises:
        Conflict, LocalFailure, NotFound, UsageError: the set is not as it must be; nothing was published.
        Refused: `KIND`, a file of it may hold a program.
        NoSigningKey, NoTrust: this machine may not sign it.
        Busy: another process works on the same pair.
        NotAuthorized, Unavailable, TryLater: it ended early; run it again, it carries on.
    """
    options, home = options or PushOptions(), home or home_of()
    with Journal(home) as journal:
        folder = remote.root if remote_folder is None else remote_folder
        pair = Pair(local, folder, remote=remote, journal=journal, monitor=monitor or Silent())
        publisher = publisher_of(pair, options, channel, keys or key_place(home, remote))
        with pair.run("publish", publisher.report, wait_s=options.wait_s):
            publisher.carry_out(*publisher.look())
    return publisher.report


def publisher_of(pair: Pair, options: PushOptions, channel: str, keys: KeyPlace) -> Publisher:
    """Who publishes what a pair holds. No request is made."""
    signing = PushSigner(pair, channel, keys, clock=options.clock)
    home = pair.journal.home
    channel_publisher = ChannelPublisher(
        pair.remote, home, keys, root=signing.scope.root, channel=signing.channel, clock=options.clock
    )
    return Publisher(pair, options, signing, channel_publisher)


def renew(channel_publisher: ChannelPublisher) -> Published:
    """Give the set of a channel more time: the same list under a new head.

    Raises:
        NotFound: nothing that counts was published.
        As `Sealer.publish`.
    """
    return channel_publisher.publish(Keep())


def roll_back(channel_publisher: ChannelPublisher, sequence: int, home: Path) -> Published:
    """Make an earlier set current again, under a new sequence. Nothing but the new head is sent.

    Args:
        channel_publisher: of the channel.
        sequence: of the set, in the present epoch.
        home: the state folder.

    Raises:
        NotFound: there is no such set any more, or a file of it can no longer be had.
        As `Sealer.publish`.
    """
    said, lost = channel_publisher.earlier(sequence)
    if lost:
        raise NotFound(
            f"{lost[0]!a} of sequence {sequence} can no longer be had from Dropbox",
            hint="choose another sequence, or publish the set from a folder that still holds it",
            channel=channel_publisher.channel,
            files=len(lost),
        )
    published = channel_publisher.publish(Again(next_head.named_in(said)))
    with Journal(home) as journal:
        want_anew(journal)  # what a push of this machine stated last is not what is stated now
    return published
