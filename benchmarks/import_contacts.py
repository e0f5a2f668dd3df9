"""Importing contacts into SQLite, beside phonenumbers alone reading the same column.

    python -m benchmarks.import_contacts [ROWS]

The peer parses and validates every number and does nothing else; the import also reads the CSV,
mends, looks for duplicates and writes three tables. Both run in this process, one after the other.
"""

from __future__ import annotations

import csv
import json
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import phonenumbers
from rich.console import Console
from rich.table import Table

from campaigns.importer import import_file
from store.database import Database

ROWS = 1_000_000
MUST, AIM = 0.5, 0.8

_PREFIXES = [
    "32",
    "33",
    "35",
    "70",
    "76",
    "77",
    "81",
    "83",
    "85",
    "86",
    "90",
    "91",
    "93",
    "96",
    "98",
]
_FAMILY = ["Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ", "Đặng", "Bùi"]
_MIDDLE = ["Văn", "Thị", "Hồng", "Minh", "Quốc", "Thanh", "Đức", "Ngọc", "Xuân", "Thu"]
_GIVEN = ["Mai", "Hùng", "Nhung", "Tuấn", "Hà", "Bảo", "Lan", "Đạt", "Oanh", "Phúc", "Ngọc", "Ánh"]


def run(rows: int = ROWS) -> dict[str, Any]:
    """Import `rows` rows and return both rates (rows/s), their ratio, and the peak memory."""
    with tempfile.TemporaryDirectory(prefix="tongdai-bench-") as folder:
        path = Path(folder) / "contacts.csv"
        write_file(path, rows)
        peer_seconds, valid = peer(path)
        before = peak_rss()
        database = Database.open("sqlite:///bench.db", home=Path(folder), migrate=True)
        try:
            summary = import_file(database, path, "bench")
        finally:
            database.close()
        after = peak_rss()
    assert summary.rows == rows
    assert summary.counts.added + summary.counts.repeated == valid
    imported, parsed = rows / summary.seconds, rows / peer_seconds
    return {
        "rows": rows,
        "import_rows_per_second": round(imported),
        "phonenumbers_rows_per_second": round(parsed),
        "ratio": round(imported / parsed, 2),
        "must": MUST,
        "aim": AIM,
        "peak_rss_mb": round(after / 1e6),
        "rss_growth_mb": round((after - before) / 1e6),
    }


def write_file(path: Path, rows: int) -> None:
    """Write a file as people have them: several spellings, names, a few columns, some bad rows."""
    pick = random.Random(84)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Họ tên", "Số điện thoại", "Nhóm", "Ghi chú"])
        for index in range(rows):
            name = f"{pick.choice(_FAMILY)} {pick.choice(_MIDDLE)} {pick.choice(_GIVEN)}"
            number = f"{pick.choice(_PREFIXES)}{pick.randrange(10_000_000):07d}"
            writer.writerow([name, spell(number, pick), f"nhóm {index % 7}", ""])


def spell(number: str, pick: random.Random) -> str:
    """Write a national number (nine digits) in one of the usual ways; one in 100 is bad."""
    a, b, c = number[:2], number[2:5], number[5:]
    return pick.choices(
        [f"0{number}", f"0{a}{b[0]} {b[1:]}{c[0]} {c[1:]}", f"0{a}.{b}.{c}", f"+84{number}",
         number, f"84{number}", f"(0{a}{b[0]}) {b[1:]}{c}", "chưa có"],
        weights=[50, 14, 10, 10, 8, 5, 2, 1],
    )[0]  # fmt: skip


def peer(path: Path) -> tuple[float, int]:
    """Let phonenumbers alone parse and validate the column; return seconds and valid numbers."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [row[1] for row in csv.reader(file)][1:]
    valid = 0
    started = time.perf_counter()
    for text in texts:
        try:
            valid += phonenumbers.is_valid_number(phonenumbers.parse(text, "VN"))
        except phonenumbers.NumberParseException:
            continue
    return time.perf_counter() - started, valid


def peak_rss() -> int:
    """Return this process's largest memory so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Run, and print a table and JSON."""
    result = run(int(sys.argv[1]) if len(sys.argv) > 1 else ROWS)
    table = Table("import", "value", title="Import of contacts, SQLite")
    for key, value in result.items():
        table.add_row(key, f"{value:,}" if isinstance(value, int) else str(value))
    Console().print(table)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
