"""proofs of single records: written from the log, checked without it"""

from __future__ import annotations

from pathlib import Path

import click

from proxy.core.checkpoint import VerifierKey
from proxy.core.errors import Untrusted
from proxy.core.proofs import check, prove
from proxy.core.tree import leaf_hash
from proxy.stores.reader import Entry, Reader


def written_proof(reader: Reader, identifier: str) -> str:
    """The proof of the one record that an id names, by the newest signed head of its log."""
    entry = _the_one(reader.find(identifier), identifier)
    notes = reader.notes(entry.log)
    if not notes:
        raise click.ClickException(f"{entry.log} has no signed head yet.")
    leaves = [leaf_hash(each.body) for each in reader.records_of(entry.log)]
    try:
        return prove(leaves, entry.seq, notes[-1])
    except Untrusted as error:
        raise click.ClickException(
            f"No proof of {entry.log}#{entry.seq}: {error}. A fresh record is covered within"
            " audit.checkpoint_interval; otherwise see `ringfence audit verify`."
        ) from error


def _the_one(entries: list[Entry], identifier: str) -> Entry:
    if not entries:
        raise click.ClickException(f"Nothing is recorded under {identifier}.")
    if len(entries) > 1:
        places = "".join(f"\n  {each.log}#{each.seq}  {each.record['kind']}" for each in entries)
        raise click.ClickException(f"{identifier} names {len(entries)} records; name one of them:{places}")
    return entries[0]


@click.command(name="check-proof")
@click.argument("proof", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--record",
    "record_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the record, as `audit show --json` prints it.",
)
@click.option(
    "--vkey",
    "key_file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="File with the verifier key, got from elsewhere than the proof.",
)
def check_proof(proof: Path, record_file: Path, key_file: Path) -> None:
    """Check that a record stands in a signed log, without that log.

    PROOF is a file that `audit proof` wrote. Needs no data folder and no network. Exit codes: 0 proven,
    1 not.
    """
    record = record_file.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    try:
        key = VerifierKey.parse(key_file.read_text("utf-8"))
        head = check(proof.read_bytes(), record, key)
    except (Untrusted, UnicodeDecodeError) as error:
        raise click.ClickException(f"NOT PROVEN: {error}") from error
    signed = f"head over {head.size} records, signed by {key.name}+{key.key_id.hex()}"
    click.echo(f"proven: the record stands in {head.origin} under a {signed}")
