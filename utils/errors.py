"""The errors of the laboratory: one sentence each, made to be shown to a user as it is.

Every message names the thing, what was expected, what was found and what to do. Command-line entry points catch
:class:`LabError` and print the sentence without a traceback.
"""


class LabError(Exception):
    """Something that the user can put right; its text is one clear sentence."""


class SettingsError(LabError):
    """An environment switch, a budget or a notebook parameter has a value that does not exist."""


class ComputeError(LabError):
    """A cluster does not answer, has lost its workers or works with other versions."""


class CatalogError(LabError):
    """An entry of ``data/catalog.toml`` is wrong or names a data set that does not exist."""


class DownloadError(LabError):
    """A file could not be fetched, or is not the file that the catalogue names."""


class SchemaError(LabError):
    """A file was read but does not have the columns or types that it must have."""


class DataError(LabError):
    """The data were read, but cannot be used as asked."""


class TrackingError(LabError):
    """The MLflow store is missing, unreadable or made by another version."""


class NotebookError(LabError):
    """A notebook is missing, was given an unknown parameter, or failed in a cell."""
