"""Kind ``table``: one row is one thing that is normal or not."""

from utils.datasets.contract import Dataset, Defect
from utils.datasets.own import labels, roles, tabular
from utils.datasets.own.entry import OwnEntry


def load(entry: OwnEntry) -> Dataset:
    """Load a table as the frame ``rows``.

    Raises:
        CatalogError: if the entry names files or columns that are not there.
        DataError: if a file or its labels cannot be used.
        SchemaError: if a file is no table.
    """
    label, kinds, time = entry.column("label"), entry.column("type"), entry.column("time")
    identity = entry.lists.get("identity", ())
    read = tabular.read(entry, "files", entry.files, (label, kinds, time, entry.column("group"), *identity))
    roles.check_columns(entry, read.frame, tabular.named(read.files))
    frame = read.frame.drop(entry.lists.get("ignore", ()))
    frame, time_defects = roles.timed(entry, frame, time)
    frame = roles.split(entry, frame, entry.column("split"))
    label_defects: tuple[Defect, ...] = ()
    if label:
        frame, label_defects = labels.label(entry, frame, label, kinds, tabular.named(read.files))
    meaning = roles.describe(
        entry, frame, "row", labelled=bool(label), time=time, group=entry.column("group"), split=entry.column("split")
    )
    return roles.dataset(
        entry, {"rows": frame}, {"rows": meaning}, read.files, (*read.defects, *time_defects, *label_defects)
    )
