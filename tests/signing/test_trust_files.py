"""Trust files in their place: begun once, never replaced, believed only by one's own key or a person's word."""

import pytest
from expecting import raises
from machines import ROOT, Machine
from manifest_world import ENGINE, NOW, ROOT_ID, THIEF, make_trust, pin_of

from huracan_sync.errors import ConfigError, Conflict, MissingScope, NoSigningKey, NoTrust, StateMissing, Unavailable
from huracan_sync.manifest import locations, rotation, signed_files
from huracan_sync.manifest.default_policy import first_trust
from huracan_sync.manifest.trust import Pin
from huracan_sync.remote import files
from huracan_sync.signing import trust_chain
from huracan_sync.signing.trust_files import TrustFiles


def put(machine, version, data, root=ROOT):
    files.put(machine.remote, f"{root}/{locations.trust(version)}", data)


def renew(newest, now_ms):
    return rotation.renewed(newest, now_ms=now_ms)


def test_one_person_one_command(signing_machine, reading_machine, dropbox):
    begun = signing_machine.roots().begin()
    assert (begun.made_key, begun.problem, begun.trust.version) == (True, None, 1)
    assert dropbox.log()["requests"] == {"files/download": 1, "files/upload": 1}
    assert reading_machine.reader().pin(str(begun.pin)) == begun.trust
    assert signing_machine.reader().trust() == begun.trust
    again = signing_machine.roots().begin()
    assert (again.made_key, again.trust) == (False, begun.trust)


def test_without_a_network_it_waits_here(signing_machine, dropbox, reading_machine):
    dropbox.faults({"fault": "server_error", "route": "*"})
    begun = signing_machine.roots().begin()
    assert isinstance(begun.problem, Unavailable)
    assert signing_machine.roots().begin().trust == begun.trust
    assert not signing_machine.roots().store.exists()
    dropbox.faults()
    signing_machine.roots().ensure_pinned()
    assert reading_machine.reader().pin(str(begun.pin)) == begun.trust
    signing_machine.roots().ensure_pinned()


def test_a_login_that_only_reads(dropbox, tmp_path):
    machine = Machine(dropbox, tmp_path, key="sign.key", scopes=["files.metadata.read", "files.content.read"])
    assert isinstance(machine.roots().begin().problem, MissingScope)


def test_the_same_key_on_another_machine_adopts(signing_machine, dropbox, tmp_path, clock):
    begun = signing_machine.roots().begin()
    clock.hours(24)
    signing_machine.roots().publish_next(renew)
    other = Machine(dropbox, tmp_path / "other", key="sign.key", clock=clock)
    other.take_key_of(signing_machine)
    clock.hours(1)
    adopted = other.roots().begin()
    assert (adopted.made_key, adopted.trust.version) == (False, 2)
    public = begun.signer.public
    assert trust_chain.kept(other.home, public) == trust_chain.kept(signing_machine.home, public)


def test_who_begins_at_the_same_time_takes_what_the_first_has_put(signing_machine, dropbox, tmp_path, monkeypatch):
    """Two machines with one key, or two processes of one: neither fails, and there is one root."""
    begun = signing_machine.keys.make()[0]
    other = Machine(dropbox, tmp_path / "other", key="sign.key")
    other.take_key_of(signing_machine)
    roots, real = signing_machine.roots(), TrustFiles._begun

    def late(self, signer):
        if self is roots:
            other.roots().begin()
        return real(self, signer)

    monkeypatch.setattr(TrustFiles, "_begun", late)
    mine = roots.begin()
    assert (mine.problem, mine.trust) == (None, other.roots().begin().trust)
    assert trust_chain.kept(signing_machine.home, begun.public)[roots.source.place].newest == mine.trust
    assert roots.begin().trust == mine.trust


def test_a_chain_that_another_process_has_just_begun_to_keep_is_none_yet(signing_machine):
    begun = signing_machine.roots().begin()
    (signing_machine.home / trust_chain.FOLDER / ("0" * 32)).mkdir(mode=0o700)
    assert signing_machine.roots().begin().trust == begun.trust
    (signing_machine.home / trust_chain.FOLDER / ("0" * 32) / "2.hzt").write_bytes(b"x")
    with raises("TRUST_CHAIN", match="no version 1"):
        signing_machine.roots().begin()


def test_a_damaged_place_of_a_chain_is_said_and_written_anew(signing_machine):
    begun = signing_machine.roots().begin()
    (place,) = signing_machine.home.glob(f"{trust_chain.FOLDER}/*/place")
    whole = place.read_bytes()
    place.write_bytes(b"\xff" + whole[1:])
    with raises("TRUST_CHAIN", match="place is damaged"):
        signing_machine.roots().begin()
    place.unlink()
    assert signing_machine.roots().begin().trust == begun.trust
    assert place.read_bytes() == whole


def test_another_key_is_refused(signing_machine, dropbox, tmp_path):
    signing_machine.roots().begin()
    other = Machine(dropbox, tmp_path / "other", key="sign.key")
    for verb in (lambda: other.roots().begin(), lambda: other.roots().ensure_pinned()):
        with raises("TRUST_PIN") as caught:
            verb()
        assert "keys rotate --signer" in caught.value.hint
    assert not other.roots().store.exists()


def test_a_trust_file_that_only_names_our_key_is_refused(signing_machine):
    """Whoever has a token can write one."""
    signer, _ = signing_machine.keys.make()
    put(signing_machine, 1, signed_files.sign_trust(first_trust(THIEF.public, root_id=ROOT_ID, now_ms=NOW), [THIEF]))
    with raises("TRUST_PIN"):
        signing_machine.roots().begin()
    put(signing_machine, 1, signed_files.sign_trust(make_trust(roots=(THIEF,)), [THIEF]))
    with raises("TRUST_PIN") as caught:
        signing_machine.roots().begin()
    assert THIEF.fingerprint in caught.value.facts["actual"]
    assert trust_chain.kept(signing_machine.home, signer.public) == {}


def test_no_trust_file_anywhere(signing_machine):
    signing_machine.keys.make()
    with pytest.raises(NoTrust):
        signing_machine.roots().ensure_pinned()


def test_another_root_folder_gets_an_id_of_its_own(signing_machine, reading_machine):
    """One key, two root folders, two pins: what is signed for the one says nothing in the other."""
    begun = signing_machine.roots().begin()
    signing_machine.roots("/Elsewhere").ensure_pinned()
    elsewhere = signing_machine.roots("/Elsewhere").begin()
    assert elsewhere.trust.root_id != begun.trust.root_id
    assert elsewhere.pin.fingerprints == begun.pin.fingerprints
    assert reading_machine.reader("/Elsewhere").pin(str(elsewhere.pin)) == elsewhere.trust
    with raises("WRONG_ROOT"):
        reading_machine.reader().pin(str(elsewhere.pin))


def test_who_only_reads_writes_nothing(signing_machine, dropbox):
    """A misspelled folder must not come into being because somebody looked for it."""
    begun = signing_machine.roots().begin()
    before = dropbox.log()["requests"]["files/upload"]
    with pytest.raises(NoTrust, match="nothing was ever signed"):
        signing_machine.roots("/Mistyped").ensure_pinned(send=False)
    (signing_machine.roots().store.folder / "seen.db").unlink()
    (signing_machine.roots().store.folder / "pinned").unlink()
    signing_machine.remote.rpc("files/delete_v2", {"path": f"{ROOT}/{locations.TRUST}"}, dict)
    signing_machine.roots().ensure_pinned(send=False)  # known here, whatever somebody takes away there
    assert (
        signing_machine.roots().store.load().trust
        == trust_chain.kept(signing_machine.home, begun.signer.public)[signing_machine.roots().source.place].files[-1]
    )
    assert dropbox.log()["requests"]["files/upload"] == before


def test_trust_files_of_another_root_folder_are_refused(signing_machine, dropbox, tmp_path):
    """The thief copies what the same key has signed for another root folder."""
    begun = signing_machine.roots().begin()
    elsewhere = signing_machine.roots("/Elsewhere").begin()
    signing_machine.remote.rpc("files/delete_v2", {"path": f"{ROOT}/{locations.TRUST}"}, dict)
    put(signing_machine, 1, signed_files.sign_trust(elsewhere.trust, [signing_machine.keys.signer()]))
    seen = signing_machine.roots().store
    (seen.folder / "seen.db").unlink()
    (seen.folder / "pinned").unlink()
    with raises("WRONG_ROOT"):
        signing_machine.roots().ensure_pinned()
    pod = Machine(dropbox, tmp_path / "pod", key="sign.key", env={"HURACAN_ROOT_PIN": str(begun.pin)})
    pod.take_key_of(signing_machine)
    with raises("WRONG_ROOT"):
        pod.roots().ensure_pinned()


def test_a_publisher_under_somebody_elses_root(signing_machine, dropbox, tmp_path, clock):
    begun = signing_machine.roots().begin()
    pod = Machine(dropbox, tmp_path / "pod", key="pod.key", clock=clock)
    public = pod.keys.make()[0].public
    signing_machine.roots().publish_next(
        lambda newest, now_ms: rotation.with_channel(renew(newest, now_ms), "logs", signers={public: "pod"})
    )
    with raises("TRUST_PIN"):
        pod.roots().ensure_pinned()
    assert pod.reader().pin(str(begun.pin)).policy("logs").key_ids == pod.reader().trust().policy("logs").key_ids
    pod.roots().ensure_pinned()
    with pytest.raises(NoSigningKey, match="0 root keys"):
        pod.roots().publish_next(renew)


def test_more_time_and_another_key(signing_machine, reading_machine, tmp_path, clock):
    first = signing_machine.roots().begin()
    reading_machine.reader().pin(str(first.pin))
    clock.hours(24)
    following = signing_machine.keys.make_next(tmp_path / "next.key")
    made = signing_machine.roots().publish_next(
        lambda newest, now_ms: rotation.replaced(renew(newest, now_ms), first.signer.public, following.public),
        following=following,
    )
    assert (made.version, signing_machine.reader().trust()) == (2, made)
    assert reading_machine.reader().pin(str(first.pin), reset=True) == made, "by the old key, over both"
    assert reading_machine.reader().pin(str(Pin(made.root_id, (following.fingerprint,))), reset=True) == made, (
        "by the new one, from there"
    )
    with pytest.raises(NoSigningKey):
        signing_machine.roots().publish_next(renew)


def test_of_two_next_versions_one_is_refused(signing_machine, dropbox, tmp_path, clock):
    signing_machine.roots().begin()

    def somebody_is_faster(newest, now_ms):
        made = renew(newest, now_ms)
        put(signing_machine, 2, signed_files.sign_trust(renew(newest, now_ms + 1), [signing_machine.keys.signer()]))
        return made

    with pytest.raises(Conflict, match="somebody else has made version 2"):
        signing_machine.roots().publish_next(somebody_is_faster)
    assert signing_machine.roots().publish_next(renew).version == 3


def test_what_no_reader_would_accept_is_not_sent(signing_machine, dropbox):
    signing_machine.roots().begin()
    with raises("TRUST_CHAIN"):
        signing_machine.roots().publish_next(lambda newest, now_ms: renew(renew(newest, now_ms), now_ms))
    assert dropbox.log()["requests"]["files/upload"] == 1


def test_lost_state_is_not_begun_anew_by_itself(signing_machine):
    signing_machine.roots().begin()
    (signing_machine.roots().store.folder / "seen.db").unlink()
    with pytest.raises(StateMissing):
        signing_machine.roots().begin()
    assert signing_machine.roots().store.pinned().fingerprints == (signing_machine.keys.signer().fingerprint,)


def test_sent_again_where_a_folder_was_emptied(signing_machine, reading_machine):
    begun = signing_machine.roots().begin()
    signing_machine.roots().publish_next(renew)
    signing_machine.remote.rpc("files/delete_v2", {"path": ROOT}, dict)
    assert signing_machine.roots().send() == 2
    assert reading_machine.reader().pin(str(begun.pin)).version == 2


def test_a_reader_has_nothing_to_send(reading_machine, signing_machine):
    begun = signing_machine.roots().begin()
    reading_machine.reader().pin(str(begun.pin))
    assert reading_machine.roots().send() == 0
    with pytest.raises(ConfigError):
        reading_machine.reader().pin(str(pin_of(ENGINE)))
