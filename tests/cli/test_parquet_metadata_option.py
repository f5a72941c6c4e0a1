"""`--parquet-metadata` on the command line."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.mark.parametrize("verb", ["push", "publish"])
def test_it_is_kept_and_what_it_leaves_out_is_said(commands, tmp_path, verb):
    commands.run("keys", "init")
    src = tmp_path / "src"
    src.mkdir()
    for n in range(3):
        pq.write_table(pa.table({"ts": [n, n + 1]}), src / f"{n}.parquet")
    pq.write_table(pa.table({"other": ["x"]}), src / "z.parquet")
    command = (verb, str(src), "/Engine/data" if verb == "push" else "/Engine", "--parquet-metadata")
    document = commands.run(*command)
    assert document["uploaded"] == 5
    assert [each["path"] for each in document["not_in_metadata"]] == ["z.parquet"]
    assert pq.read_metadata(src / "_metadata").num_rows == 6
    out, err = commands.say(*command)
    assert "_metadata leaves out 1 file: 'z.parquet'" in out + err


def test_one_file_is_no_dataset(commands, tmp_path):
    pq.write_table(pa.table({"ts": [1]}), tmp_path / "a.parquet")
    document = commands.run("push", str(tmp_path / "a.parquet"), "/Engine/data", "--parquet-metadata", code=2)
    assert document["message"] == "a single file is no dataset"
