"""`doctor`: what is, changed by nothing here but the probe of `--self-test`."""

from __future__ import annotations

import argparse
import logging
import textwrap
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import msgspec

from huracan_sync import __version__
from huracan_sync.auth.connect import connect, home_of
from huracan_sync.auth.credentials import Credentials
from huracan_sync.auth.login_calls import account_name, ask_whether_reachable
from huracan_sync.auth.scopes import Profile
from huracan_sync.auth.secret_scan import UNREADABLE, scan_tree
from huracan_sync.auth.tokens import AccessTokens
from huracan_sync.cli import doctor_checks
from huracan_sync.cli.columns import ascii_path, width
from huracan_sync.cli.invocation import DONE, FAILURES, Invocation
from huracan_sync.cli.login_options import credentials
from huracan_sync.engine.settings import load
from huracan_sync.errors import HuracanError, UsageError
from huracan_sync.remote.client import Remote
from huracan_sync.remote.files import quota
from huracan_sync.remote.http import Answer, Endpoint, Wire
from huracan_sync.remote.listing import FolderMetadata
from huracan_sync.remote.stat import folders, metadata
from huracan_sync.signing import expiry
from huracan_sync.tree.units import counted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Give the parser the verb's arguments."""
    parser.add_argument("--scan", type=Path, metavar="DIR", help="find tokens and app secrets in a source tree")
    parser.add_argument(
        "--self-test", action="store_true", help="also try the whole way: write, list, read and delete a small probe"
    )
    parser.add_argument(
        "--exercise", dest="self_test", action="store_true", help=argparse.SUPPRESS
    )  # the older spelling


def run(options: argparse.Namespace, invocation: Invocation) -> int:
    """`doctor`: everything that could be wrong, looked at. Nothing is written in Dropbox, but for `--self-test`."""
    if options.scan is not None:
        return _scan(options.scan, invocation)
    home = home_of(invocation.env)
    login = credentials(options, invocation)
    reach = _reach(invocation)
    checks = [
        doctor_checks.check_credentials(login),
        doctor_checks.check_delivered(invocation.env),
        doctor_checks.check_keeping(login.store, delivered=_is_delivered(login)),
        doctor_checks.check_vault_key(invocation.env, login.store),
        doctor_checks.check_environment(invocation.env),
        doctor_checks.check_state_folder(home),
        doctor_checks.check_signing_key(invocation.env),
        doctor_checks.check_ends(expiry.endings(home, time.time())),
        doctor_checks.check_disk_events(),
        reach,
        *(_ask_dropbox(login, invocation) if reach.verdict != "bad" else []),
        *(_self_test(options, invocation, login) if options.self_test else []),
    ]
    found = [check for check in checks if check is not None]
    bad = sum(check.verdict == "bad" for check in found)
    document = {
        "profile": login.profile.name,
        "version": __version__,
        "healthy": not bad,
        "checks": [msgspec.to_builtins(check) for check in found],
    }
    invocation.output.document(document, _in_words(found))
    return FAILURES if bad else DONE


def _is_delivered(login: Credentials) -> bool:
    with suppress(HuracanError):  # said by the check of the credentials
        return login.load().login is None
    return False


_APPS = "/Apps"
"""Where Dropbox keeps the folders of App-folder apps, for who sees the whole Dropbox."""
_MOST_APPS = 20
_MARKS = {"ok": "ok  ", "warn": "warn", "bad": "BAD ", "unknown": "?   "}


def _in_words(found: Sequence[doctor_checks.Check]) -> list[str]:
    """One screen: a line or two for each check, and what to do about it."""
    margin = max(len(check.name) for check in found) + 7
    columns = min(120, width())
    lines = []
    for check in found:
        head = f"{_MARKS[check.verdict]} {check.name}".ljust(margin)
        lines += _wrapped(head, check.says, margin, columns)
        if check.hint:
            lines += _wrapped(" " * margin, f"hint: {check.hint}", margin, columns)
    counts = Counter(check.verdict for check in found)
    lines.append(
        f"{counts['ok']} ok, {counts['warn']} to look at, {counts['bad']} bad"
        + (f", {counts['unknown']} not known" if counts["unknown"] else "")
    )
    return lines


def _wrapped(head: str, text: str, margin: int, columns: int) -> list[str]:
    return textwrap.wrap(
        ascii_path(text),
        columns,
        initial_indent=head,
        subsequent_indent=" " * margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _reach(invocation: Invocation) -> doctor_checks.Check:
    endpoint = Endpoint.from_environment(invocation.env)
    answer: Answer | HuracanError
    try:
        answer = ask_whether_reachable(Wire(endpoint, connect_timeout=5.0, read_timeout=10.0))
    except HuracanError as error:
        answer = error
    return doctor_checks.check_reach(endpoint, answer, now=time.time())


def _ask_dropbox(credentials: Credentials, invocation: Invocation) -> list[doctor_checks.Check]:
    """What only a login can tell: does it still work, what may it do, what does it see."""
    try:
        credential = credentials.load()
    except HuracanError:
        return []  # said already
    remote = connect(env=invocation.env, credentials=credentials)
    tokens = remote.tokens
    assert isinstance(tokens, AccessTokens)  # noqa: S101 - connect was given no token
    # What a delivered token was granted is not known; if it serves, then at least what is asked for with every refresh.
    granted = credential.login.scopes if credential.login is not None else credential.asked
    may_see = "account_info.read" in granted
    login = doctor_checks.check_token(tokens, name_of=partial(account_name, remote.wire) if may_see else None)
    checks = [login, doctor_checks.check_scopes(credential.profile, granted)]
    if login.verdict != "ok":
        return checks
    if reader := doctor_checks.check_reader(credentials, remote.wire):
        checks.append(reader)
    checks.append(_root(remote, credential.profile))
    checks.append(doctor_checks.check_quota(*_quota(remote)) if may_see else doctor_checks.check_quota(None, None))
    return checks


def _root(remote: Remote, profile: Profile) -> doctor_checks.Check:
    """Whether the login sees the root; if not, whether it lies in the folder of an App-folder app."""
    elsewhere = []
    try:
        if not remote.root or isinstance(metadata(remote, remote.root), FolderMetadata):
            return doctor_checks.check_root(profile, remote.root, visible=True)
        for app in folders(remote, _APPS)[:_MOST_APPS]:
            place = f"{_APPS}/{app}{remote.root}"
            if isinstance(metadata(remote, place), FolderMetadata):
                elsewhere.append(place)
    except HuracanError as error:
        return doctor_checks.check_root(profile, remote.root, visible=error)
    return doctor_checks.check_root(profile, remote.root, visible=False, elsewhere=elsewhere)


def _self_test(options: argparse.Namespace, invocation: Invocation, login: Credentials) -> list[doctor_checks.Check]:
    """The whole way, tried with a probe, as the engine goes it."""
    from huracan_sync.cli import log_lines  # noqa: PLC0415 - the engine is slow to import, and only this needs it
    from huracan_sync.engine.context import EngineContext  # noqa: PLC0415
    from huracan_sync.engine.login import chosen_by  # noqa: PLC0415
    from huracan_sync.engine.selftest import self_test  # noqa: PLC0415

    log_lines.show_events(verbosity=options.verbose, least=logging.WARNING)
    try:
        settings = load(arguments={"profile": login.profile.name}, environment=invocation.env)
        settings = msgspec.structs.replace(settings, access_token=None, strict=False)
        steps = self_test(EngineContext.open(chosen_by(settings), settings, credentials=login))
        return [
            doctor_checks.Check(
                f"self-test: {step.name}",
                "ok" if step.good else "bad",
                f"{step.says}.",
                {"seconds": round(step.seconds, 3)},
                step.hint,
            )
            for step in steps
        ]
    except HuracanError as error:
        facts = {"error": error.code or type(error).__name__}
        return [doctor_checks.Check("self-test", "bad", f"{error}.", facts, error.hint)]


def _quota(remote: Remote) -> tuple[int | None, int | None]:
    try:
        return quota(remote)
    except HuracanError:  # what is wrong with the login was said above
        return None, None


def _scan(folder: Path, invocation: Invocation) -> int:
    if not folder.is_dir():
        raise UsageError(f"--scan {folder} is no folder", hint="name the folder of the sources to look through")
    found = list(scan_tree(folder))
    document = {"findings": [{"path": f.path, "line": f.finding.line, "kind": f.finding.kind} for f in found]}
    lines = [f"{ascii_path(f.path)}:{f.finding.line}: {f.finding.kind}" for f in found]
    unread = sum(each.finding.kind == UNREADABLE for each in found)
    secrets = len(found) - unread
    lines.append(f"{secrets} found; revoke each, then remove it (the history keeps it)" if secrets else "none found")
    if unread:
        lines.append(f"{counted(unread, 'place')} could not be looked at")
    invocation.output.document(document, lines)
    return FAILURES if found else DONE
