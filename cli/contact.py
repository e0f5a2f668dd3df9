"""`tongdai contact`: customers."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.call import show_calls
from cli.home import home_of
from cli.output import (
    JsonOption,
    LimitOption,
    clock,
    hint,
    plural,
    print_json,
    say,
    show_facts,
    show_rows,
)
from cli.progress import BYTES, bar, half_done
from cli.root import COMMANDS, noun

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from campaigns.importer import ImportSummary
    from crm.contacts import ContactCard

app = noun(COMMANDS["contact"])
LAST_CALLS = 10  # shown of a customer


@app.command(
    "import", epilog="Example: tongdai contact import khach.csv --list tet --map phone=SĐT"
)
def import_(
    ctx: typer.Context,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A CSV file, of any spreadsheet.")],
    list_name: Annotated[
        str, typer.Option("--list", metavar="NAME", help="The list to put them in; made if new.")
    ],
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="WHAT=COLUMN", help="Where phone or name is, if unclear."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import a CSV file: numbers in any spelling, duplicates found, bad rows set aside.

    Rows that cannot be used go to a second file beside the first, each with its reason.
    """
    from campaigns.importer import import_file

    home = home_of(ctx)
    size = file.stat().st_size if file.is_file() else None
    with home.database() as database, half_done(dry_run), bar(BYTES, size) as advance:
        summary = import_file(
            database,
            file,
            list_name,
            region=home.config.region,
            mapping=pairs(mapping or [], "--map", "phone=SĐT"),
            dry_run=dry_run,
            on_progress=lambda _rows, done, _size: advance(done),
            now=home.now(),
        )
    if as_json:
        print_json(_summary(summary))
    else:
        _tell(summary)


def pairs(texts: list[str], option: str, example: str) -> dict[str, str]:
    """NAME=VALUE options as a dict. Raises BadParameter."""
    found = {}
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign and value):
            message = f"expected something like {example}; got “{text}”"
            raise typer.BadParameter(message, param_hint=option)
        found[name] = value
    return found


def _summary(summary: ImportSummary) -> dict[str, Any]:
    facts = asdict(summary)
    counts = facts.pop("counts")
    facts["reasons"], facts["repairs"] = dict(summary.reasons), _repairs(summary)
    return {**facts, **counts}


def _repairs(summary: ImportSummary) -> dict[str, int]:
    return {str(repair): number for repair, number in summary.repairs.most_common()}


def _tell(summary: ImportSummary) -> None:
    counts = summary.counts
    would = "would be " if summary.dry_run else ""
    say(f"{plural(summary.rows, 'row')} read from {summary.file} in {summary.seconds:.1f} s")
    show_facts(
        [
            ("columns", ", ".join((*summary.phone_columns, *summary.name_columns))),
            (f"new contacts {would}added", f"{counts.added:,}"),
            (f"known contacts {would}listed", f"{counts.known:,}" if counts.known else ""),
            ("in the list before", f"{counts.already_listed:,}" if counts.already_listed else ""),
            ("repeated in the file", f"{counts.repeated:,}" if counts.repeated else ""),
            (f"{would}rejected", f"{summary.rejected:,}"),
            *((f"  {reason}", number) for reason, number in summary.reasons.most_common()),
            *((f"repaired {number}", repair) for repair, number in _repairs(summary).items()),
        ]
    )
    if summary.rejects_file:
        say(f"What was not imported is in {summary.rejects_file}, each row with its reason.")


@app.command(epilog="Example: tongdai contact add 0912345678 --name 'Nguyễn Văn An' --list tet")
def add(
    ctx: typer.Context,
    *,
    phone: Annotated[str, typer.Argument(metavar="PHONE", help="A phone number.")],
    name: Annotated[str, typer.Option(help="The name.")] = "",
    company: Annotated[bool, typer.Option("--company", help="It is a company.")] = False,
    language: Annotated[str | None, typer.Option(help="The language to speak, such as vi.")] = None,
    field: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Anything else worth keeping.")
    ] = None,
    list_name: Annotated[
        str | None, typer.Option("--list", metavar="NAME", help="Also put it in this list.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a customer; of one who is known, only what is missing is filled in."""
    from campaigns import lists
    from crm import contacts

    home, fields = home_of(ctx), pairs(field or [], "--field", "city=Huế")
    with home.database() as database, database.write() as session:
        added = contacts.add(
            session,
            phone,
            now=home.now(),
            name=name,
            kind="company" if company else "person",
            language=language,
            fields=fields,
            region=home.config.region,
        )
        if list_name is not None:
            lists.add(session, list_name, [phone], now=home.now(), region=home.config.region)
        card = contacts.cards(session, [added.contact])[0]
    if as_json:
        print_json({**_card(card, home.zone), "created": added.created})
    else:
        say(f"{card.name or card.phones[0]} is {'added' if added.created else 'known already'}.")


@app.command(epilog="Example: tongdai contact show 0912345678")
def show(
    ctx: typer.Context,
    who: Annotated[str, typer.Argument(metavar="PHONE", help="A phone number, or a contact's id.")],
    as_json: JsonOption = False,
) -> None:
    """Show what is known of a customer, and the last calls, in both directions."""
    from crm import contacts
    from reports import calls, render

    home = home_of(ctx)
    with home.database() as database, database.read() as session:
        card = contacts.show(session, who, region=home.config.region)
        lists = contacts.lists_of(session, card.id)
        theirs = calls.CallFilter(contact=card.id)
        last = calls.latest(session, theirs, home.zone, LAST_CALLS)
    if as_json:
        found = [render.record(line) for line in last]
        print_json({**_card(card, home.zone), "lists": lists, "calls": found})
        return
    show_facts(
        [
            ("name", card.name),
            ("kind", card.kind),
            ("phone", ", ".join(card.phones)),
            ("language", card.language),
            *card.fields.items(),
            ("lists", ", ".join(lists)),
            ("since", clock(card.created_at, home.zone)),
            ("id", card.id),
        ]
    )
    if last:
        say("")
        show_calls(home, last)


@app.command("list", epilog="Example: tongdai contact list nguyen --limit 20")
def list_(
    ctx: typer.Context,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A part of a name, or a number; none: everybody.")
    ] = "",
    limit: LimitOption = 50,
    as_json: JsonOption = False,
) -> None:
    """Find customers by name (accents do not matter) or number; the newest first."""
    from crm import contacts

    home = home_of(ctx)
    with home.database() as database, database.read() as session:
        page = contacts.search(session, text, region=home.config.region, limit=limit)
    if as_json:
        print_json([_card(card, home.zone) for card in page.contacts])
        return
    show_rows(
        ("Name", "Phone", "Since"),
        ((c.name, ", ".join(c.phones), clock(c.created_at, home.zone)) for c in page.contacts),
        empty="There is nobody like that." if text else "There are no contacts yet.",
    )
    if len(page.contacts) < page.total:
        hint(f"{len(page.contacts)} of {page.total:,} shown: see more with --limit.")


def _card(card: ContactCard, zone: ZoneInfo) -> dict[str, Any]:
    return {
        "id": card.id,
        "kind": card.kind,
        "name": card.name,
        "phones": card.phones,
        "language": card.language,
        "fields": card.fields,
        "created_at": card.created_at.astimezone(zone),
        "updated_at": card.updated_at.astimezone(zone),
    }
