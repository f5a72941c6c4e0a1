"""Trust files in their place: begun once, never replaced, believed only by one's own key or a person's word."""

import pytest
from keys_world import ROOT, Machine
from signed_world import ENGINE, NOW, THIEF, make_trust

from huracan_sync.errors import ConfigError, Conflict, MissingScope, NoSigningKey, NoTrust, StateMissing, Unavailable
from huracan_sync.manifest import locations, rotation, trust
from huracan_sync.manifest.default_policy import first_trust
from huracan_sync.manifest.refusals import TrustChain, TrustPin
from huracan_sync.remote import files
from huracan_sync.signing import trust_chain


def put(machine, version, data, root=ROOT):
    files.put(machine.remote, f"{root}/{locations.trust(version)}", data)


def renew(newest, now_ms):
    return rotation.renewed(newest, now_ms=now_ms)


def test_one_person_one_command(engine, hamilton, dropbox):
    begun = engine.roots().begin()
    assert (begun.made_key, begun.problem, begun.trust.version) == (True, None, 1)
    assert dropbox.log()["requests"] == {"files/download": 1, "files/upload": 1}
    assert hamilton.reader().pin([begun.signer.fingerprint]) == begun.trust
    assert engine.reader().trust() == begun.trust
    again = engine.roots().begin()
    assert (again.made_key, again.trust) == (False, begun.trust)


def test_without_a_network_it_waits_here(engine, dropbox, hamilton):
    dropbox.faults({"fault": "server_error", "route": "*"})
    begun = engine.roots().begin()
    assert isinstance(begun.problem, Unavailable)
    assert engine.roots().begin().trust == begun.trust
    assert not engine.roots().seen.exists()
    dropbox.faults()
    engine.roots().settle()
    assert hamilton.reader().pin([begun.signer.fingerprint]) == begun.trust
    engine.roots().settle()


def test_a_login_that_only_reads(dropbox, tmp_path):
    machine = Machine(dropbox, tmp_path, key="sign.key", scopes=["files.metadata.read", "files.content.read"])
    assert isinstance(machine.roots().begin().problem, MissingScope)


def test_the_same_key_on_another_machine_adopts(engine, dropbox, tmp_path, clock):
    begun = engine.roots().begin()
    clock.hours(24)
    engine.roots().succeed(renew)
    other = Machine(dropbox, tmp_path / "other", key="sign.key", clock=clock)
    other.key.parent.mkdir()
    other.key.write_bytes(engine.key.read_bytes())
    other.key.chmod(0o400)
    clock.hours(1)
    adopted = other.roots().begin()
    assert (adopted.made_key, adopted.trust.version) == (False, 2)
    assert (
        trust_chain.find(other.home, begun.signer.public).files
        == trust_chain.find(engine.home, begun.signer.public).files
    )


def test_another_key_is_refused(engine, dropbox, tmp_path):
    engine.roots().begin()
    other = Machine(dropbox, tmp_path / "other", key="sign.key")
    for verb in (lambda: other.roots().begin(), lambda: other.roots().settle()):
        with pytest.raises(TrustPin) as caught:
            verb()
        assert "keys rotate --signer" in caught.value.hint
    assert not other.roots().seen.exists()


def test_a_trust_file_that_only_names_our_key_is_refused(engine):
    """Whoever has a token can write one."""
    signer, _ = engine.keys.make()
    put(engine, 1, trust.sign(first_trust(THIEF.public, now_ms=NOW), [THIEF]))
    with pytest.raises(TrustPin):
        engine.roots().begin()
    put(engine, 1, trust.sign(make_trust(roots=(THIEF,)), [THIEF]))
    with pytest.raises(TrustPin) as caught:
        engine.roots().begin()
    assert THIEF.fingerprint in caught.value.facts["actual"]
    assert trust_chain.find(engine.home, signer.public) is None


def test_no_trust_file_anywhere(engine):
    engine.keys.make()
    with pytest.raises(NoTrust):
        engine.roots().settle()


def test_another_root_folder_gets_the_same(engine, hamilton):
    begun = engine.roots().begin()
    engine.roots("/Elsewhere").settle()
    assert hamilton.reader("/Elsewhere").pin([begun.signer.fingerprint]) == begun.trust


def test_a_publisher_under_somebody_elses_root(engine, dropbox, tmp_path, clock):
    begun = engine.roots().begin()
    pod = Machine(dropbox, tmp_path / "pod", key="pod.key", clock=clock)
    public = pod.keys.make()[0].public
    engine.roots().succeed(
        lambda newest, now_ms: rotation.with_channel(renew(newest, now_ms), "logs", signers={public: "pod"})
    )
    with pytest.raises(TrustPin):
        pod.roots().settle()
    assert (
        pod.reader().pin([begun.signer.fingerprint]).policy("logs").key_ids
        == pod.reader().trust().policy("logs").key_ids
    )
    pod.roots().settle()
    with pytest.raises(NoSigningKey, match="0 root keys"):
        pod.roots().succeed(renew)


def test_more_time_and_another_key(engine, hamilton, tmp_path, clock):
    first = engine.roots().begin()
    hamilton.reader().pin([first.signer.fingerprint])
    clock.hours(24)
    following = engine.keys.make_next(tmp_path / "next.key")
    made = engine.roots().succeed(
        lambda newest, now_ms: rotation.replaced(renew(newest, now_ms), first.signer.public, following.public),
        following=following,
    )
    assert (made.version, engine.reader().trust()) == (2, made)
    assert hamilton.reader().pin([first.signer.fingerprint], anew=True) == made, "by the old key, over both"
    assert hamilton.reader().pin([following.fingerprint], anew=True) == made, "by the new one, from there"
    with pytest.raises(NoSigningKey):
        engine.roots().succeed(renew)


def test_of_two_next_versions_one_is_refused(engine, dropbox, tmp_path, clock):
    engine.roots().begin()

    def somebody_is_faster(newest, now_ms):
        made = renew(newest, now_ms)
        put(engine, 2, trust.sign(renew(newest, now_ms + 1), [engine.keys.signer()]))
        return made

    with pytest.raises(Conflict, match="somebody else has made version 2"):
        engine.roots().succeed(somebody_is_faster)
    assert engine.roots().succeed(renew).version == 3


def test_what_no_reader_would_accept_is_not_sent(engine, dropbox):
    engine.roots().begin()
    with pytest.raises(TrustChain):
        engine.roots().succeed(lambda newest, now_ms: renew(renew(newest, now_ms), now_ms))
    assert dropbox.log()["requests"]["files/upload"] == 1


def test_lost_state_is_not_begun_anew_by_itself(engine):
    engine.roots().begin()
    (engine.roots().seen.folder / "seen.db").unlink()
    with pytest.raises(StateMissing):
        engine.roots().begin()
    assert engine.roots().seen.pins() == (engine.keys.signer().fingerprint,)


def test_sent_again_where_a_folder_was_emptied(engine, hamilton):
    begun = engine.roots().begin()
    engine.roots().succeed(renew)
    engine.remote.rpc("files/delete_v2", {"path": ROOT}, dict)
    assert engine.roots().send() == 2
    assert hamilton.reader().pin([begun.signer.fingerprint]).version == 2


def test_a_reader_has_nothing_to_send(hamilton, engine):
    begun = engine.roots().begin()
    hamilton.reader().pin([begun.signer.fingerprint])
    assert hamilton.roots().send() == 0
    with pytest.raises(ConfigError):
        hamilton.reader().pin([ENGINE.fingerprint])
