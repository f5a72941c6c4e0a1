"""The order of reading (FORMAT.md, section 7): what to fetch, what to judge it by, what to remember, what to give.

This workflow knows which failures are ordinary; the rules themselves are in `signed`, and always raise.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from huracan_sync.errors import Busy, ConfigError, HuracanError, NotAuthorized, NotFound, Refused, TryLater, Unavailable
from huracan_sync.manifest import body, checks, head, locations, trust
from huracan_sync.manifest.checks import Freshness, Mark
from huracan_sync.manifest.entries import Item
from huracan_sync.manifest.head import Head, Opened
from huracan_sync.manifest.refusals import refused
from huracan_sync.manifest.trust import Policy, Trust, one_pin
from huracan_sync.reader.cache import BlobCache, blob_cache
from huracan_sync.reader.snapshot import Snapshot, bring
from huracan_sync.reader.source import PollResult, Source, fetch_body, poll_signed
from huracan_sync.reader.trust_pin import Pinning
from huracan_sync.reader.trust_store import Channel, State, TrustStore
from huracan_sync.tree.content_hash import content_hash

KEEP_SET = 256 * 1024 * 1024
"""Bytes: a set up to this size is brought to this disk whole before it takes effect, so that it can be read offline."""

_POLL_S = 60
_POLL_LEAST_S = 30
_PAUSE_MOST_S = 5.0

Each = Callable[[Callable[[Item], object], Iterable[Item]], Iterable[object]]


class _Request(NamedTuple):
    """What is asked of a channel, and what it is judged by."""

    channel: str
    known: Trust
    now_ms: int
    allow_stale: bool
    remember: bool = True


class _Entries(NamedTuple):
    """The entries of a body, and what they were judged by."""

    items: body.Items
    named: tuple[object, ...]
    """What the head says of the body, the policy, and whether the files were wanted here."""


class Reader:
    """Reads the channels of one root folder. Safe for several threads; a lock lets one look at a time."""

    def __init__(
        self,
        source: Source,
        home: Path,
        *,
        place: str = "",
        pin: str = "",
        keep_set: int = KEEP_SET,
        each: Each = map,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """No network and no disk before the first call.

        Args:
            source: where to read.
            home: HURACAN_SYNC_HOME, where what was seen is remembered and what was read is kept.
            place: tells this root folder from others on this machine: service, account, path.
            pin: what to trust where nothing is pinned yet, as it was delivered to this machine (`HURACAN_ROOT_PIN`).
            keep_set: bytes up to which a set is brought here whole before it takes effect; larger ones are fetched
                file by file as they are read.
            each: applies a function to many entries, as `map` does; an executor's `map` fetches several at once.
            clock: seconds since 1970.
            sleep: waits that many seconds.
        """
        self._source = source
        self._trust_store = TrustStore(home, place)
        self._pinning = Pinning(source, self._trust_store)
        self._delivered = pin
        self._keep_set = keep_set
        self._each = each
        self._clock = clock
        self._sleep = sleep
        self._locks: defaultdict[int, threading.RLock] = defaultdict(threading.RLock)  # by process; one look at a time
        self._entries: dict[str, _Entries] = {}

    # --- whom to trust ----------------------------------------------------------------------------------------

    def pin(self, pin: str | Iterable[str], *, at_least: Mapping[str, int] | None = None, reset: bool = False) -> Trust:
        """Trust the root folder and the root keys of a pin, and whatever they have signed since.

        Args:
            pin: `hz2:...`, as `huracan-sync keys show` prints it where the root key is; one or more of one root.
            at_least: for channels the sequence below which nothing may be accepted. Where what was seen is lost or
                damaged, this must be said; it begins reset from there.
            reset: forget what was pinned and seen, also where it is whole.

        Raises:
            NotFound: there is no trust file.
            Refused: `TRUST_PIN`, there is none that these keys have signed; `WRONG_ROOT`, it is of another root.
            ConfigError: another root is pinned here.
            UsageError: it is no pin.
            StateMissing: what was seen is lost, and `at_least` is not said.
        """
        return self._pinning.by_pin(one_pin(pin), at_least=at_least, reset=reset, now_ms=self._now_ms())

    def pin_file(self, *files: bytes, at_least: Mapping[str, int] | None = None, reset: bool = False) -> Trust:
        """Trust these trust files, which a person brought here, and whatever their root keys have signed since.

        Where a root is pinned already they must lead on from what is known; nothing that was seen is forgotten. So a
        revocation arrives although somebody withholds it in Dropbox.

        Raises:
            Refused: `TRUST_CHAIN`, they do not lead on; `WRONG_ROOT`, they are of another root.
        """
        return self._pinning.by_files(files, at_least=at_least, reset=reset, now_ms=self._now_ms())

    def raise_floor(self, channel: str, sequence: int) -> None:
        """Accept nothing of the channel below that sequence of its present epoch."""
        self._pinning.raise_floor(channel, sequence)

    def trust(self) -> Trust:
        """The trust file that is held, as of the last request. Raises `NoTrust`, `StateMissing`."""
        return self._pinning.newest(self._state(), search=False)

    def _state(self) -> State:
        """What is known. The pin that was delivered to this machine is taken where nothing is pinned yet."""
        if not self._delivered:
            return self._trust_store.load()
        if not self._trust_store.exists():
            self.pin(self._delivered)
        state = self._trust_store.load()
        if state.pin != str(one_pin(self._delivered)):
            message = "another root is pinned on this machine than the one that HURACAN_ROOT_PIN names"
            hint = "find out which is right; `huracan-sync keys trust --reset PIN` forgets the one that is pinned"
            raise ConfigError(message, hint=hint, actual=state.pin, expected=self._delivered)
        return state

    # --- reading ----------------------------------------------------------------------------------------------

    def latest(self, channel: str, *, allow_stale: bool = False, remember: bool = True) -> Snapshot:
        """The newest manifest of a channel, verified. One request when nothing has changed.

        While Dropbox cannot be reached, or the login was withdrawn, what was last known good is given instead, for as
        long as its own signature says that it is fresh (`snapshot.problem` tells). What Dropbox holds being refused
        is an error; with `allow_stale` it also gives what was last known good, until that is dead.

        A reader that keeps no files (`keep_set=0`) takes nothing from one that does: where what was last known good
        lies on this disk whole, the newest is brought here too before it takes that place; or, with `remember=False`,
        it is only told of and takes no place.

        Raises:
            Refused: the first reason found; nothing later was looked at, nothing was remembered.
            NotFound: nothing was ever published in the channel.
            NoTrust: nobody has pinned a root key here.
            StateMissing: what was seen before is lost; an operator must say where to go on.
            Unavailable: Dropbox cannot be reached, and nothing that is still good is here.
        """
        locations.check_channel(channel)
        with self._locks[os.getpid()]:
            try:
                return self._latest(channel, allow_stale=allow_stale, remember=remember)
            except (Unavailable, TryLater, NotAuthorized) as error:
                return self._instead(channel, error, allow_stale=allow_stale)
            except Refused as error:
                if not allow_stale:
                    raise
                return self._instead(channel, error, allow_stale=True)

    def last_good(self, channel: str, *, allow_stale: bool = False) -> Snapshot:
        """What was last known good, proved again from this disk. No network.

        With `allow_stale`, where the newest is damaged, the one before it, as stale.

        Raises:
            NotFound: nothing of the channel is on this disk.
            Refused: it does not stand up to what is known now (a revoked key, an old age).
        """
        locations.check_channel(channel)
        with self._locks[os.getpid()]:
            state = self._state()
            held = state.channels.get(channel)
            if held is None or not held.head:
                raise NotFound(f"nothing of {channel} was ever read on this machine", channel=channel)
            known = self._pinning.newest(state, search=False)
            request = _Request(channel, known, max(self._now_ms(), state.clock_ms), allow_stale)
            trust.check_current(known, request.now_ms)
            try:
                return self._held(request, held.head, online=False)
            except Refused as error:
                if error.code != "BODY_MISSING" or not (allow_stale and held.previous):
                    raise
                snapshot = self._held(request, held.previous, online=False)
                snapshot.problem, snapshot.superseded = error, True
                return snapshot

    def follow(
        self,
        channel: str,
        *,
        allow_stale: bool = False,
        stop: Callable[[], bool] = lambda: False,
        observe: Callable[[HuracanError], None] = lambda _: None,
        on_check: Callable[[Snapshot], None] = lambda _: None,
        poll_s: int = _POLL_S,
    ) -> Iterator[Snapshot]:
        """The newest snapshot, then each new one as soon as it is published (a heartbeat is none).

        Args:
            channel: its name.
            allow_stale: as for `latest`.
            stop: asked before and after each wait; ends the iteration.
            observe: told of everything that keeps the newest from being read; following goes on.
            on_check: told of what each look finds, also when it is more time for the same.
            poll_s: the longest poll, 30 to 480 seconds; then freshness is looked at again.

        Raises:
            ConfigError: no key is pinned, or what was seen is lost. Waiting would not help.
            NotAuthorized: the same; what was last known good is given before.
        """
        given, pause = b"", 1.0
        while not stop():
            try:
                snapshot = self.latest(channel, allow_stale=allow_stale)
                on_check(snapshot)
                if snapshot.head.body_sha256 != given:
                    given = snapshot.head.body_sha256
                    yield snapshot
                problem: HuracanError | None = snapshot.problem
                if stop():
                    return
                if problem is None:
                    self._source.wait(self._trust_store.load().channels[channel].cursor, self._until(snapshot, poll_s))
                    pause = 1.0
                    continue
            except (Refused, Unavailable, TryLater, NotFound) as error:
                problem = error
            if isinstance(problem, NotAuthorized):
                raise problem
            observe(problem)
            asked = problem.facts.get("retry_after_s")
            self._sleep(max(pause, asked) if isinstance(asked, float) else pause)
            pause = min(2 * pause, _PAUSE_MOST_S)

    def _until(self, snapshot: Snapshot, poll_s: int) -> int:
        """How long to wait: until it is no longer fresh, as far as a longpoll may be so short."""
        left_s = (snapshot.head.expires_ms - self._now_ms()) // 1000 + 1
        return min(poll_s, max(_POLL_LEAST_S, left_s)) if left_s > 0 else poll_s

    def kept(self, channel: str) -> tuple[bytes, dict[bytes, bytes]]:
        """The head file that was accepted last and the files of its list, by SHA-256, as they lie on this disk."""
        held = self._trust_store.load().channels[channel]
        here = self._blob_cache(channel)
        parts = {sha256: here.part(sha256) for sha256 in held.parts}
        return held.head, {sha256: data for sha256, data in parts.items() if data is not None}

    # --- one look ---------------------------------------------------------------------------------------------

    def _latest(self, channel: str, *, allow_stale: bool, remember: bool) -> Snapshot:
        for _ in range(5):
            state = self._state()
            now_ms = self._now_ms()
            checks.check_clock(now_ms, state.clock_ms)
            held = state.channels.get(channel)
            try:
                poll = poll_signed(self._source, channel, held, trust.open(state.trust))
            except NotFound as error:
                raise self._gone(channel, held) from error
            request = _Request(channel, self._pinning.newest(state, search=poll.trust), now_ms, allow_stale, remember)
            trust.check_current(request.known, now_ms)
            if held and held.head and not poll.head:
                # Judged again: keys are revoked, windows end, time goes on.
                snapshot = self._held(request, held.head, online=True)
                self._trust_store.note_cursor(channel, held.mark, before=held.cursor, cursor=poll.cursor)
                return snapshot
            found = self._changed(request, held, poll)
            if found is not None:
                return found
        raise Busy(f"another process keeps moving what was seen of {channel}", channel=channel)

    def _changed(self, request: _Request, held: Channel | None, poll: PollResult) -> Snapshot | None:
        """Steps 3 to 12. None when another process has moved the mark meanwhile."""
        data = self._head_file(request.channel, held)
        try:
            opened = self._judged(request, data)
        except Refused:  # perhaps it was made under a trust file that came after we looked
            newer = request.known if poll.trust else self._pinning.newest(self._trust_store.load(), search=True)
            if newer == request.known:
                raise
            request = request._replace(known=newer)
            opened = self._judged(request, data)
        said, policy = opened.head, request.known.policy(request.channel)
        mark = held.mark if held else None
        checks.advances(mark, said.epoch, said.seq, opened.digest, said.prev)
        self._check_linked(said, mark)
        fresh = checks.check_fresh(
            policy, expires_ms=said.expires_ms, now_ms=request.now_ms, allow_stale=request.allow_stale
        )
        here = self._blob_cache(request.channel)
        with here.in_use():
            kept = not self._keep_set and self._is_whole(request, held, here)
            entries = self._read_body(opened, policy, online=True, keep=kept and request.remember)
            if kept and not request.remember:
                return self._snapshot(request, opened, entries.items)
            new = _following(held, opened, entries.items.parts, poll.cursor, content_hash(data))
            clock_ms = request.now_ms if fresh is Freshness.FRESH else 0
            if not self._trust_store.advance(request.channel, new, after=mark, clock_ms=clock_ms):
                return None
        if held is None or new.parts != held.parts:
            self._tidy(request, new, entries.items)
        return self._snapshot(request, opened, entries.items)

    def _held(self, request: _Request, data: bytes, *, online: bool) -> Snapshot:
        """The snapshot of a head file that is on this disk; online, what is missing of it is fetched again."""
        opened = self._judged(request, data)
        policy = request.known.policy(request.channel)
        expires_ms = opened.head.expires_ms
        checks.check_fresh(policy, expires_ms=expires_ms, now_ms=request.now_ms, allow_stale=request.allow_stale)
        entries = self._read_body(opened, policy, online=online)
        return self._snapshot(request, opened, entries.items)

    def _check_linked(self, newest: Head, mark: Mark | None) -> None:
        """Go down from a head to the one that was seen before; no request where nothing lies between them."""
        way = head.check_linked(newest, mark)
        with contextlib.suppress(StopIteration):
            place, _ = next(way)
            while True:
                try:
                    data: bytes | None = self._source.fetch(place, head.MAX_SIZE)
                except NotFound:
                    data = None
                place, _ = way.send(data)

    @staticmethod
    def _judged(request: _Request, data: bytes) -> Opened:
        return head.open(data, trust=request.known, channel=request.channel, now_ms=request.now_ms)

    def _snapshot(self, request: _Request, opened: Opened, items: body.Items) -> Snapshot:
        return Snapshot(
            opened,
            request.known.policy(request.channel),
            items,
            source=self._source,
            blob_cache=self._blob_cache(request.channel),
            allow_stale=request.allow_stale,
            clock=lambda: max(self._clock(), request.now_ms / 1000),  # one that falls back does not make it young again
        )

    # --- fetching ---------------------------------------------------------------------------------------------

    def _head_file(self, channel: str, held: Channel | None) -> bytes:
        try:
            return self._source.fetch(locations.head(channel), head.MAX_SIZE)
        except NotFound as error:
            raise self._gone(channel, held) from error

    @staticmethod
    def _gone(channel: str, held: Channel | None) -> HuracanError:
        if held is not None:
            return refused("HEAD_MISSING", f"the head of {channel} is gone", channel=channel)
        hint = "run `huracan-sync publish` on the machine that publishes; check the profile's root folder"
        return NotFound(f"nothing was ever published in {channel}", hint=hint, channel=channel)

    def _read_body(self, opened: Opened, policy: Policy, *, online: bool, keep: bool = False) -> _Entries:
        """The entries of a head, from memory, from this disk, or from Dropbox, which is then kept here.

        `keep`: their files too, although this reader keeps no files.
        """
        said = opened.head
        named = (said.body_sha256, said.body_len, said.raw_len, said.entry_count, policy, keep)
        kept = self._entries.get(said.channel)
        if kept is not None and kept.named == named:
            return kept
        here = self._blob_cache(said.channel)

        def fetch(sha256: bytes, length: int) -> bytes:
            data = here.body(sha256, length)
            if data is None:
                if not online:
                    raise refused("BODY_MISSING", f"the body of sequence {said.seq} is not here", sha256=sha256.hex())
                data = fetch_body(self._source, opened, sha256, length)
                here.put_body(sha256, data)
            return data

        with here.in_use() if online else contextlib.nullcontext():
            items = body.entries(said, policy, fetch, lazily=not (keep or self._keep_set))
            if online and items.is_whole and sum(item.size for item in items) <= (KEEP_SET if keep else self._keep_set):
                # A set of ordinary size is on this disk whole, every block proved, before it takes effect.
                for _ in self._each(lambda item: bring(self._source, here, item), items):
                    pass
        self._entries[said.channel] = _Entries(items, named)
        return self._entries[said.channel]

    def _is_whole(self, request: _Request, held: Channel | None, here: BlobCache) -> bool:
        """Whether every file of what was last known good is on this disk."""
        if held is None or not held.head:
            return False
        with contextlib.suppress(Refused):
            said, policy = self._judged(request, held.head).head, request.known.policy(request.channel)
            items = body.read(said, policy, lambda sha256, length: here.body(sha256, length) or b"")
            return bool(items) and all(here.blob(item) for item in items)
        return False

    # --- what is kept -----------------------------------------------------------------------------------------

    def _instead(self, channel: str, problem: HuracanError, *, allow_stale: bool) -> Snapshot:
        """What was last known good, or the problem that made us look for it."""
        try:
            snapshot = self.last_good(channel, allow_stale=allow_stale)
        except HuracanError:
            raise problem from None
        snapshot.problem = problem
        return snapshot

    def _tidy(self, request: _Request, new: Channel, items: body.Items) -> None:
        """Delete what neither this manifest nor the one before names; another time, if somebody fetches.

        Of a list that is read as it is asked for no file is kept: they cost less than the whole list.
        """
        here = self._blob_cache(request.channel)
        blobs = {item.content_hash for item in items} if items.is_whole else set()
        if new.previous and blobs:
            with contextlib.suppress(Refused):  # what does not stand up to be read again need not be kept
                said, policy = self._judged(request, new.previous).head, request.known.policy(request.channel)
                before = body.read(said, policy, lambda sha256, length: here.body(sha256, length) or b"")
                blobs |= {item.content_hash for item in before}
        with here.unused() as alone:
            if alone and self._trust_store.load().channels[request.channel] == new:
                here.keep_only((*new.parts, *new.previous_parts), blobs)

    def _blob_cache(self, channel: str) -> BlobCache:
        return blob_cache(self._trust_store.folder, channel)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)


def _following(held: Channel | None, opened: Opened, parts: tuple[bytes, ...], cursor: str, lies: bytes) -> Channel:
    """What is known once this head is accepted. A heartbeat leaves the manifest before as it was."""
    mark = Mark(opened.head.epoch, opened.head.seq, opened.digest)
    new = Channel(mark, opened.data, parts, cursor=cursor, links=(opened.digest, opened.head.skip), lies=lies)
    if held is None or not held.head:
        return new
    if held.parts == parts:
        return msgspec.structs.replace(new, previous=held.previous, previous_parts=held.previous_parts)
    return msgspec.structs.replace(new, previous=held.head, previous_parts=held.parts)
