"""`tongdai init`: make a home."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from cli.home import Home, home_of
from cli.output import JsonOption, print_json, say
from cli.root import single

FOLDERS = ("recordings", "prompts", "flows", "run")
app = single()


@app.command(epilog="Example: tongdai init --home /var/lib/tongdai")
def init(ctx: typer.Context, as_json: JsonOption = False) -> None:
    """Make a home: a configuration, folders and a database.

    Nothing that is there already is overwritten; a database of an older version is migrated.
    """
    home = home_of(ctx)
    made = [*_folders(home.path), *_configuration(home.path)]
    place = _database(home)
    if as_json:
        print_json({"home": home.path.resolve(), "made": made, "database": place})
        return
    for path in made:
        say(f"made {path}")
    say(f"database {place} is ready")
    say(f"Next: fill in a [[trunk]] in {home.path / 'tongdai.toml'}, then `tongdai doctor`.")


def _folders(home: Path) -> list[str]:
    made = []
    for folder in (home, *(home / name for name in FOLDERS)):
        if not folder.is_dir():
            # Recordings and the database are personal data: this user's alone.
            try:
                folder.mkdir(mode=0o700, parents=True)
            except OSError as error:
                said = f"the folder {folder} cannot be made ({error.strerror}): name another one."
                raise typer.BadParameter(said, param_hint="--home") from error
            made.append(str(folder))
    return made


def _configuration(home: Path) -> list[str]:
    from server import config

    path = home / config.FILE
    try:
        # It may come to hold a password; "x" in flags: what is there is never overwritten.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return []
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(config.template())
    return [str(path)]


def _database(home: Home) -> str:
    from store.database import Database

    before = os.umask(0o077)  # like the folders: this user's alone
    try:
        database = Database.open(home.config.database, home=home.path, migrate=True)
    finally:
        os.umask(before)
    place = database.place
    database.close()
    return place
