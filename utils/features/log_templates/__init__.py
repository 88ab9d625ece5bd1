"""Raw log lines to templates, fast and with one setting for all systems."""

from utils.features.log_templates.accuracy import Agreement, agreement
from utils.features.log_templates.estimator import LogTemplates, template_id
from utils.features.log_templates.files import ParsedFile, parse_file, read_sessions, write_parsed

__all__ = [
    "Agreement",
    "LogTemplates",
    "ParsedFile",
    "agreement",
    "parse_file",
    "read_sessions",
    "template_id",
    "write_parsed",
]
