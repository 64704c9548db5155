"""Users come from a file of another system."""

import rolekeep
from rolekeep import ImportFormat, ImportProgress


def tell(progress: ImportProgress) -> None:
    print(progress.import_.counts.read, "records read")


with rolekeep.open(preset="standard") as um, open("docs/examples/users.csv", "rb") as file:
    done = rolekeep.import_users(um.system, file, "old-shop", ImportFormat.CSV, progress=tell)
    print(done.status, done.counts.created, done.counts.failed)
    for item in um.system.imports.failures_all(done.id):
        print(item.number, item.code, [error.field for error in item.errors])
