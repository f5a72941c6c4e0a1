"""A block is given when it is the signed one, has its length, and shows no program: each answer by itself."""

import contextlib
import hashlib
import io
import zipfile

import pytest
from expecting import raises
from manifest_world import item

from huracan_sync.errors import ContentMismatch, NotFound
from huracan_sync.manifest.file_kinds import SNIFF, Kind, sniff
from huracan_sync.reader.verified_blocks import VerifiedFile, check_block, remote_blocks, remote_leaves, remote_pieces
from huracan_sync.tree.content_hash import LEAF_SIZE, leaf_hashes

DATA = b"time,price\n1,2\n"
PICKLED = b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."


def archive():
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        zipped.writestr("x", b"x")
    return made.getvalue()


class Sends:
    """A source that sends these pieces, whatever is asked for; places that are gone are not found."""

    def __init__(self, *pieces, gone=()):
        self.pieces, self.gone, self.asked = pieces, gone, []

    @contextlib.contextmanager
    def stream(self, place, start, end):
        self.asked.append((place, start, end))
        if place in self.gone:
            raise NotFound(place)
        yield iter(self.pieces)


def test_the_signed_block_passes_and_every_other_is_told():
    check_block(item("a.csv", DATA), 0, DATA)
    check_block(item("empty.csv", b""), 0, b"")
    for wrong in (DATA[:-1], DATA + b"\n", DATA.upper(), b""):
        with raises(ContentMismatch) as caught:
            check_block(item("a.csv", DATA), 0, wrong)
        error = caught.value
        assert str(error) == "'a.csv' is not what was signed: block 0 of it is not the one that is signed"
        assert error.facts == {"path": "a.csv", "expected": item("a.csv", DATA).content_hash.hex()}
        assert error.hint == "somebody may have changed the file in Dropbox; publish it again"
    with raises(ContentMismatch):
        check_block(item("empty.csv", b""), 0, b"x")
    with raises(ContentMismatch):
        check_block(item("other.csv", b"", content_hash=hashlib.sha256(b"x").digest()), 0, b"")


@pytest.mark.parametrize("data", [PICKLED, archive(), DATA + archive()], ids=["pickle", "zip", "a zip behind a text"])
def test_a_program_passes_only_by_its_name(data):
    with raises("KIND", match="'a.csv' may run a program when it is opened, and is not published as one") as caught:
        check_block(item("a.csv", data), 0, data)
    assert caught.value.facts["kind"] == item("a.csv", data).kind
    check_block(item("a.pkl", data, kind=Kind.PICKLE), 0, data)


def test_pieces_of_any_size_make_the_block():
    for pieces in ([DATA], [DATA[:1], DATA[1:]], [b"", DATA, b""], [bytes([each]) for each in DATA]):
        assert list(remote_blocks(Sends(*pieces), item("a.csv", DATA))) == [DATA]


@pytest.mark.parametrize("data", [PICKLED, DATA + archive()], ids=["pickle", "a zip behind a text"])
def test_a_program_in_pieces_is_a_program(data):
    with raises("KIND"):
        list(remote_pieces(Sends(*(bytes([each]) for each in data)), item("a.csv", data)))


MARKS = b"\x88" * (2 * SNIFF)
"""An unpickler would go on reading; that the file ends here shows that it is no pickle."""


def test_a_file_that_ends_before_it_is_a_pickle_is_none():
    assert (sniff(MARKS), sniff(MARKS, size=len(MARKS))) == (Kind.PICKLE, None)
    signed = item("x.bin", MARKS)
    check_block(signed, 0, MARKS)
    assert remote_leaves(Sends(MARKS), signed, leaf_hashes(MARKS), 0, 1) == MARKS


def test_a_pickle_that_is_called_otherwise_is_not_what_it_is_called():
    data = PICKLED + bytes(100)
    with raises("KIND"):
        check_block(item("a.safetensors", data), 0, data)
    with raises("KIND"):
        remote_leaves(Sends(data), item("a.safetensors", data), leaf_hashes(data), 0, 1)


@pytest.mark.parametrize(
    ("pieces", "why"),
    [
        ([DATA, b"x"], "more bytes came than it has"),
        ([DATA + b"x"], "more bytes came than it has"),
        ([DATA[:-1]], "it ended in block 0 of 1"),
        ([], "it ended in block 0 of 1"),
        ([DATA[:-1] + b"x"], "block 0 of it is not the one that is signed"),
    ],
)
def test_other_bytes_are_told(pieces, why):
    with raises(ContentMismatch, match=f"'a.csv' is not what was signed: {why}") as caught:
        list(remote_pieces(Sends(*pieces), item("a.csv", DATA)))
    assert caught.value.facts["path"] == "a.csv"


def test_an_empty_file_is_proved_and_not_asked_for():
    source = Sends()
    assert list(remote_pieces(source, item("a.csv", b""))) == []
    with raises(ContentMismatch):
        list(remote_pieces(source, item("a.csv", b"", content_hash=bytes(32))))
    assert source.asked == []
    one = item("b.csv", b"x")
    assert list(remote_blocks(Sends(b"x"), one)) == [b"x"]
    assert list(remote_blocks(Sends(b"x"), one, 1)) == list(remote_blocks(Sends(b"x"), one, 0, 0)) == []


def test_the_revision_is_asked_for_and_the_path_where_it_is_gone():
    signed = item("a.csv", DATA, "15f")
    assert list(remote_blocks(source := Sends(DATA), signed)) == [DATA]
    assert source.asked == [("rev:15f", 0, len(DATA))]
    assert list(remote_blocks(source := Sends(DATA, gone={"rev:15f"}), signed)) == [DATA]
    assert source.asked == [("rev:15f", 0, len(DATA)), ("a.csv", 0, len(DATA))]
    with raises(NotFound):
        list(remote_blocks(Sends(DATA, gone={"rev:15f", "a.csv"}), signed))


LEAVED = bytes(range(251)) * 1000


def test_leaves_are_proved_by_their_table():
    signed, table = item("x.bin", LEAVED), leaf_hashes(LEAVED)
    for first, last in ((0, 1), (1, 3), (3, 4)):
        part = LEAVED[first * LEAF_SIZE : last * LEAF_SIZE]
        assert remote_leaves(source := Sends(part[:5], part[5:]), signed, table, first, last) == part
        assert source.asked == [(f"rev:{signed.rev}", first * LEAF_SIZE, min(last * LEAF_SIZE, len(LEAVED)))]
        end = min(last * LEAF_SIZE, len(LEAVED))
        for wrong in (part[:-1], part + b"x", part[:-1] + b"\0", b""):
            with raises(ContentMismatch, match=f"bytes {first * LEAF_SIZE} to {end} of it are not those") as caught:
                remote_leaves(Sends(wrong), signed, table, first, last)
            assert caught.value.facts["path"] == "x.bin"


@pytest.mark.parametrize(("data", "at"), [(PICKLED + LEAVED, 0), (LEAVED + archive(), 3)])
def test_leaves_show_a_program_where_it_shows(data, at):
    table = leaf_hashes(data)
    for leaf in range(4):
        part = data[leaf * LEAF_SIZE : (leaf + 1) * LEAF_SIZE]
        if leaf == at:
            with raises("KIND"):
                remote_leaves(Sends(part), item("x.bin", data), table, leaf, leaf + 1)
        else:
            assert remote_leaves(Sends(part), item("x.bin", data), table, leaf, leaf + 1) == part
        assert remote_leaves(Sends(part), item("x.bin", data, kind=Kind.PICKLE), table, leaf, leaf + 1) == part


def test_a_safetensors_header_that_begins_like_a_pickle_is_what_it_is():
    """Its length may be spelled `N.`, which is a whole pickle: its structure tells."""
    header = b'{"t":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
    header += b" " * (int.from_bytes(b"N.", "little") - len(header))
    data = len(header).to_bytes(8, "little") + header + b"\x01"
    assert sniff(data) is Kind.PICKLE
    check_block(item("a.safetensors", data), 0, data)
    table = leaf_hashes(data)
    assert remote_leaves(Sends(data), item("a.safetensors", data), table, 0, 1) == data


def test_an_open_file_can_seek_and_gives_nothing_when_it_is_closed():
    file = VerifiedFile(item("a.csv", DATA), lambda first, count: iter([DATA]))
    assert (file.readable(), file.seekable(), file.seek(3), file.read(4)) == (True, True, 3, DATA[3:7])
    file.seek(0)
    file.close()
    assert file.read(4) == b""
