"""One log in one file: what is durable, what is refused, what a second reader sees."""

from __future__ import annotations

import sqlite3

import pytest

from proxy.core import tree
from proxy.stores.base import LogId, Row, StoreFault, decoded, logs_in, writer_name
from proxy.stores.sqlite import LogFile, Mark

LOG = LogId("example/r0/w0", 1)


def row(seq: int, body: bytes = b"{}") -> Row:
    return seq, body


@pytest.fixture
def file(tmp_path):
    path = LOG.path(tmp_path)
    path.parent.mkdir(parents=True)
    opened = LogFile(path, LOG)
    yield opened
    opened.close()


def pragma(file: LogFile, name: str) -> object:
    return file._db.execute(f"PRAGMA {name}").fetchone()[0]


def test_a_commit_waits_for_the_disk(file):
    assert pragma(file, "journal_mode") == "wal"
    assert pragma(file, "synchronous") == 2
    assert pragma(file, "wal_autocheckpoint") == 0


@pytest.mark.parametrize("count", [1, 63, 64, 65, 300])
def test_a_batch_of_any_size_is_there_with_the_very_bytes(file, count):
    rows = [row(n, bytes([n % 256]) * 40) for n in range(count)]
    file.append(rows)
    assert file.size() == count
    assert list(file.bodies(0)) == rows
    assert list(file.bodies(count - 1)) == rows[-1:]
    assert list(file.bodies_at({count - 1, count, 0})) == sorted({*rows[:1], *rows[-1:]})


@pytest.mark.parametrize("count", [2, 200])
def test_a_batch_that_cannot_be_written_wholly_is_not_written_at_all(file, count):
    file.append([row(count - 1)])
    with pytest.raises(StoreFault, match="cannot write"):
        file.append([row(n) for n in range(count)])
    assert [seq for seq, _ in file.bodies(0)] == [count - 1]


def test_what_was_not_closed_is_there_when_it_is_opened_again(file):
    file.append([row(0, b"kept")])
    again = LogFile(file.path, LOG)
    assert list(again.bodies(0)) == [(0, b"kept")]
    again.close()


def test_others_read_while_it_is_written(file):
    reader = sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True)
    file.append([row(0)])
    assert reader.execute("SELECT count(*) FROM record").fetchone() == (1,)
    file.append([row(1)])
    assert reader.execute("SELECT count(*) FROM record").fetchone() == (2,)
    reader.close()


def test_a_file_of_another_log_or_of_something_else_is_not_taken(file, tmp_path):
    with pytest.raises(StoreFault, match="is not the log") as fault:
        LogFile(file.path, LogId("example/r0/w0", 2))
    assert fault.value.corrupt
    other = tmp_path / "text.sqlite"
    other.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreFault) as fault:
        LogFile(other, LOG)
    assert fault.value.corrupt


def test_checkpoints_are_kept_and_the_newest_fitting_one_is_found(file):
    frontier = tree.Frontier()
    for n in range(5):
        frontier.append(tree.leaf_hash(bytes([n])))
        file.mark(Mark(frontier.size, "t", f"note {n}", frontier.state()))
    assert file.last_mark(0) is None
    found = file.last_mark(3)
    assert found is not None
    assert (found.size, found.note) == (3, "note 2")
    assert tree.Frontier.restore(found.size, found.frontier).size == 3


def test_settling_moves_everything_out_of_the_wal(file):
    file.append([row(n, b"x" * 3000) for n in range(50)])
    assert file.wal_bytes() > 100_000
    assert file.settle(wholly=True)
    assert file.wal_bytes() == 0
    assert file.size() == 50


def test_settling_says_when_a_reader_keeps_something_back(file):
    file.append([row(0)])
    reader = sqlite3.connect(f"{file.path.as_uri()}?mode=ro", uri=True, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM record").fetchone()
    file.append([row(1)])
    assert not file.settle(wholly=True)
    reader.execute("COMMIT")
    assert file.settle(wholly=True)
    reader.close()


def test_a_commit_writes_no_index(file):
    assert file._db.execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall() == []


@pytest.mark.parametrize("body", [b"", b"no record", b"[1]", b"\xff"])
def test_bytes_that_are_no_record_are_decoded_to_an_empty_one(body):
    assert decoded(body) == {}


def test_tables_are_strict(file):
    with pytest.raises(sqlite3.IntegrityError):
        file._db.execute("INSERT INTO record (seq, body) VALUES (9, 'text, not bytes')")


@pytest.mark.parametrize("parts", [("", "r", "w"), ("../x", "r", "w"), ("a/b", "r", "w"), ("A", "r", "w"),
                                   ("a", "r\n", "w"), ("a", "r", "w" * 64), ("-a", "r", "w")])  # fmt: skip
def test_a_part_that_cannot_name_a_folder_is_refused(parts):
    with pytest.raises(ValueError, match="cannot name a log"):
        writer_name(*parts)


def test_log_ids_are_read_as_they_are_written():
    assert LogId.parse(str(LOG)) == LOG
    for text in ("", "a/b/c", "a/b/c/1", "a/b/000001", "a/b/c/d/000001", "../b/c/000001", "a/b/c/00000x"):
        assert LogId.parse(text) is None


def test_logs_are_found_by_writer_and_epoch_and_strays_are_not(tmp_path):
    wanted = [LogId("a/r0/w0", 2), LogId("a/r0/w0", 10), LogId("a/r0/w1", 1)]
    for path in [
        *(log.path(tmp_path) for log in wanted),
        tmp_path / "a/r0/w0/backup.sqlite",
        tmp_path / "x.sqlite",
    ]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert logs_in(tmp_path) == wanted
    assert logs_in(tmp_path / "nowhere") == []
