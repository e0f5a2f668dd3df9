from sqlalchemy import text
from store.database import Database


async def test_run(db: Database) -> None:
    assert await db.run(lambda s: s.scalar(text("select 1")), write=False) == 1
