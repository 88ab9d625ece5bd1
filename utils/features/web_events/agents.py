"""User agents: whether they are well-formed, and what they tell of the client.

A well-formed agent is a product with a version, then products, comments in parentheses or words (RFC 9110, section
10.1.5; unlike there the first product must have a version, which real clients send and made-up agents often lack).
"""

import re

import numpy as np

from utils.features.web_events.columns import Floats, Texts
from utils.features.web_events.patterns import PatternBank

LONGEST = 2048
VALID = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}/[!-'*-~]{1,64}"
    r"(?:[ ]*\((?:[^()\x00-\x1f]|\([^()\x00-\x1f]*\))*\)|[ ]+[!-'*-~\x80-\U0010ffff]+)*[ ]*"
)
WORDS = {
    "browser": r"^mozilla/\d|^opera/\d",
    "bot": r"bot\b|crawl|spider|slurp|archiver|preview|facebookexternalhit",
    "library": r"curl/|wget/|python|libwww|java/|okhttp|httpclient|go-http|aiohttp|axios|perl|ruby|php|node|winhttp",
    "scanner": r"sqlmap|nikto|nmap|masscan|dirbuster|gobuster|wpscan|acunetix|nessus|openvas|w3af|zgrab|nuclei|havij|"
    r"burp|zap/|arachni|whatweb|wfuzz|ffuf|jorgee|netsparker|paros|webinspect|hydra|morfeus|muieblackcat|zmeu",
    "mobile": r"mobile|android|iphone|ipad",
    "address": r"https?://|www\.",
    "attack": r"\(\)\s?\{|\$\{|<\s?[a-z/!?]|union\s|select\s|sleep\s?\(|\.\./|/etc/|"
    r"[;|`]\s?(?:wget|curl|cat|id|sh)\b|'",
}
BANK = PatternBank(tuple(WORDS.values()))
NAMES = ("valid", "length", "n_products", "n_comments", "share_digit", "share_upper", *WORDS)
"""Names of the traits of one agent, in the order of the columns."""
LINEAR = frozenset({"valid", "share_digit", "share_upper", *WORDS})


def is_valid(agent: str | None) -> bool | None:
    """Say whether an agent is well-formed; ``None`` for a missing one."""
    return None if agent is None else len(agent) <= LONGEST and VALID.fullmatch(agent) is not None


def measure(agents: Texts) -> Floats:
    """Measure agents.

    Args:
        agents: user agents; a missing one gives a row of NaN.

    Returns:
        Float64 of shape (agents, :data:`NAMES`).
    """
    short = [agent[:LONGEST] if agent else "" for agent in agents]
    table = np.zeros((len(agents), len(NAMES)))
    table[:, : -len(WORDS)] = np.array([_shape(agent) for agent in short]).reshape(len(agents), len(NAMES) - len(WORDS))
    table[:, -len(WORDS) :] = BANK.contains([agent.lower() for agent in short])
    table[[agent is None for agent in agents]] = np.nan
    return table


def _shape(agent: str) -> tuple[float, ...]:
    size = max(len(agent), 1)
    digits, upper = sum(map(str.isdigit, agent)), sum(map(str.isupper, agent))
    return (bool(is_valid(agent)), len(agent), agent.count("/"), agent.count("("), digits / size, upper / size)
