"""Lines and tables in a terminal's columns."""

import io

from huracan_sync.cli.columns import Whole, fitted, table, wrapped
from huracan_sync.cli.output import Output
from huracan_sync.cli.progress import RATE_S, Rate


def test_a_long_line_is_broken_at_words_and_a_value_is_not():
    pin = Whole("x" * 50)
    assert wrapped(["  hint: run it again and again", pin, "short"], 20) == [
        "  hint: run it again",
        "    and again",
        "x" * 50,
        "short",
    ]


def test_only_a_terminal_has_lines_broken():
    long = "word " * 40
    terminal = io.StringIO()
    terminal.isatty = lambda: True
    assert fitted([long], io.StringIO()) == [long]
    assert max(map(len, fitted([long], terminal))) <= 80
    closed = io.StringIO()
    closed.close()
    assert fitted([long], closed) == [long]


def test_a_secret_is_hidden_in_a_line_that_stays_whole(capsys):
    Output(as_json=False).document({}, [Whole("a token sl.u." + "A" * 60)])
    assert "AAAA" not in capsys.readouterr().out


def test_a_table_fits_by_the_beginnings_of_its_paths():
    rows = [["what", "local", "remote"], ["push", "/a/" + "long/" * 20 + "end", "/short"]]
    lines = table(rows, columns=40, give=(1, 2))
    assert [len(line) <= 40 for line in lines] == [True, True]
    assert lines[1].endswith("/end  /short")
    assert table(rows) == table(rows, columns=500, give=(1, 2))


def test_the_rate_is_that_of_the_last_seconds():
    now = [0.0]
    rate = Rate(clock=lambda: now[0])
    now[0] = 1.0
    assert rate.in_words(1024, 2048) == "1.0 KiB/s, 1 s left"
    now[0] = 2.0
    assert rate.in_words(2048, 2048) == "1.0 KiB/s"
    now[0] = 10 * RATE_S
    rate.of(2048)
    now[0] += RATE_S
    assert rate.of(2048) == 0
