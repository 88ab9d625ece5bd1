"""Signature rules: known marks of web attacks in decoded text, by family.

The attack classes are those of the OWASP Core Rule Set; the patterns are this project's own and stand in one table
below. They are matched with text whose URL, HTML and JavaScript escapes are undone, in lower case, with comments and
blanks unified (:func:`utils.features.web_events.canonical`). A weight says how sure a pattern is by itself: 1.0 is an
alarm on its own, less needs company.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from utils.features.web_events import EventColumns, canonical, columns_of
from utils.features.web_events.agents import is_valid
from utils.features.web_events.columns import Texts, check, distinct
from utils.features.web_events.decoding import decode_all
from utils.features.web_events.patterns import PatternBank

ALARM = 1.0
"""Score from which a family, and an event, counts as an attack."""
MOST_OF_A_FAMILY = 2.0
HUNDRED = 100
LONGEST = 1 << 16
"""Of longer texts the beginning and the end are looked at."""
EXCERPT = 60
MALFORMED, MALFORMED_WEIGHT = "malformed user agent", 0.4


class Signature(NamedTuple):
    """One pattern: what it recognises in words, the regular expression for canonical text, and its weight."""

    name: str
    pattern: str
    weight: float = ALARM


SQL_CALLS = (
    r"(?:concat|char|chr|ascii|substring|substr|mid|cast|convert|count|version|database|current_user|user|hex|unhex|"
    r"md5|ifnull|isnull|coalesce|rand|floor|length|exp|ord|lower|upper|system_user|session_user)"
)
COMMANDS = (
    r"(?:ls|ping6?|whoami|uname|wget|curl|ncat|nc|netstat|nslookup|dig|chmod|chown|bash|powershell|perl|python[23]?|"
    r"ifconfig|ipconfig|traceroute|tracert|telnet|printenv|systeminfo|tasklist|xterm|rm|sleep|dir|cmd(?:\.exe)?)"
)
"""Commands whose names are hardly words of a language."""
COMMANDS_LIKE_WORDS = (
    r"(?:id|cat|net|env|export|ps|sh|ksh|touch|kill|reg|copy|del|move|cp|mv|"
    r"tar|ssh|ftp|php|ruby|exec|system|passthru|uptime|hostname|su|sudo|init|shutdown|reboot)"
)
EVENTS = (
    r"(?:abort|activate|after|animation|auxclick|before|begin|blur|bounce|canplay|change|click|close|contextmenu|copy|"
    r"cuechange|cut|dblclick|drag|drop|durationchange|emptied|end|error|filterchange|finish|focus|formchange|forminput|"
    r"fullscreen|gotpointer|hashchange|help|input|invalid|key|layoutcomplete|load|losecapture|media|message|mouse|move|"
    r"offline|online|outofsync|page|paste|pause|play|pointer|pop|progress|propertychange|ratechange|readystate|repeat|"
    r"reset|resize|resume|reverse|rows|scroll|seek|select|show|start|stop|storage|submit|suspend|syncrestored|timeerror|"
    r"timeupdate|toggle|touch|trackchange|transition|unhandled|unload|url|volumechange|waiting|wheel|zoom)"
)
FAMILIES: Mapping[str, tuple[Signature, ...]] = MappingProxyType(
    {
        "sqli": (
            Signature(
                "UNION SELECT of values",
                r"union[\s(]{0,4}(?:all\b|distinct\b)?[\s(]{0,4}select[\s(+-]{0,4}"
                r"(?:[\d'\"@*$]|null\b|[\w.]{1,40}\s?[,(]|[\w.]{1,40}\sfrom\b)",
            ),
            Signature("UNION ALL SELECT", r"union[\s(]{1,4}(?:all|distinct)[\s(]{1,4}select\b"),
            Signature(
                "subquery",
                r"\(\s?select[\s(]{1,3}(?:[\d*'\"@(]|case\b|distinct\b|top\s|null\b|[\w.$]{1,40}\s?[,(]|"
                r"[\w.$]{1,40}\sfrom\b)",
            ),
            Signature(
                "query for columns",
                r"\bselect\s(?:\*|count\s?\(|distinct\s|top\s\d|[\w.$@]{1,40}\s?\([^)]{0,80}\)|"
                r"[\w.$@'\"]{1,40}(?:\s?,\s?[\w.$@'\"()]{1,40}){1,60})\s?from[\s(]{1,2}[\w.]{2,}",
            ),
            Signature("query", r"\bselect\s[\w.@]{1,40}\sfrom\s[\w.]{2,}", 0.5),
            Signature("query of values", r"\bselect\s?[\s(]{1,3}(?:[\d*'\"@-]|null\b|char\s?\(|concat)", 0.6),
            Signature(
                "comparison of numbers behind a logical word",
                r"(?:\b|[\d'\"])(?:or|and|xor|having|where|not|rlike|when)\b[\s(!~+-]{0,6}\d{1,12}\)?\s?"
                r"(?:=|<|>|!=|<>|<=|>=|like\b|in\b|between\b|rlike\b)[\s(!~+-]{0,4}[\d'\"(]",
            ),
            Signature(
                "comparison of texts behind a quote and a logical word",
                r"['\"`]\)*\s?(?:or|and|xor|having|where|not|\|\||&&|&|\|)\s?[(\s]{0,4}['\"`]?[\w%.]{0,30}['\"`]?\s?"
                r"(?:=|<|>|!=|<>|<=|>=|like\b|in\b|rlike\b|regexp\b|is\b)[(\s]{0,3}['\"`\d(n]",
            ),
            Signature(
                "logical symbol and comparison",
                r"(?:\|\||&&)[\s(]{0,3}['\"\d][\w%]{0,20}['\"]?\s?"
                r"(?:=|<|>|like\b)\s?[(]?['\"\d]",
            ),
            Signature(
                "call behind a logical word",
                r"(?:['\")\d]\s?|\s)(?:or|and|xor|having|where|not|\|\||&&)[\s(!~+-]{1,4}"
                + SQL_CALLS
                + r"\s?\([^)]{0,40}\)?",
            ),
            Signature("quote, closed parentheses and comment", r"['\"`]\s?[)\s]{0,8}(?:--|#)[\s\w+-]{0,12}\z", 0.8),
            Signature("quote and comment at the end", r"['\"`]\)*--\s?[+-]?\z"),
            Signature("number, parentheses and comment", r"(?:\d\s?|\)\s?)(?:--|#)[\s+-]{0,4}\z", 0.6),
            Signature("comment and letters at the end", r"[)\d'\"]\s?--\s[a-z]{0,6}\s?-?\z", 0.5),
            Signature("ORDER BY a place", r"\b(?:order|group)\sby\s?\(?\d{1,5}\b", 0.7),
            Signature("ORDER BY behind a value", r"[\d'\")]\s(?:order|group)\sby\s\w", 0.5),
            Signature(
                "statement behind a semicolon",
                r";\s?\(?(?:select\s?[\d('\"@*]|select\s\w{1,40}\s?\(|insert\sinto\s|update\s\w{1,40}\sset\b|delete\sfrom\s|"
                r"drop\s(?:table|database|view|user|function)|create\s(?:table|user|or\sreplace|function|alias|database)|"
                r"alter\s(?:table|database|user)|exec(?:ute)?[\s(]|declare\s|waitfor\s|shutdown\b|call\s\w{1,40}\s?[.(]|"
                r"begin\s|truncate\s|copy\s\w{1,40}\s?(?:\(|from\b|to\b)|desc\s\w|if\s?\(|iif\s?\(|if\snot|sleep\s?\(|merge\s)",
            ),
            Signature(
                "wait",
                r"pg_sleep\s?\(|\bbenchmark\s?\(\s?[\d_]|waitfor\s(?:delay|time)\b|dbms_(?:lock|pipe)|randomblob\s?\(|"
                r"generate_series\s?\(|(?:\bor|\band|like|select|,|;|\(|\bif|when|then|else|\|\||=|[\d'\")]\s?[-+*/^|&])\s?\(?sleep\s?\(\s?[\d_]",
            ),
            Signature(
                "error function",
                r"\b(?:extractvalue|updatexml|load_file|group_concat|concat_ws|make_set|elt|json_keys|"
                r"xmltype|regexp_substring|char_length|crypt_key|exp|gtid_subset|st_latfromgeohash|utl_inaddr\.\w{1,30}|"
                r"ctxsys\.[\w.]{1,30}|dbms_\w{1,20}\.\w{1,20}|utl_http\.\w{1,20}|extractvalue)\s?\(\s?[\w('\"~]",
            ),
            Signature("analysing procedure", r"procedure\sanalyse\s?\("),
            Signature(
                "system table",
                r"information_schema|\bsys(?:ibm|objects|columns|databases|users|master|tables)\b|"
                r"\ball_(?:users|tables|tab_columns)\b|pg_catalog|pg_shadow|\bpg_user\b|sqlite_master|mysql\.user|rdb\$|"
                r"\bmaster\.\.|\bmsysaccessobjects\b|\bv\$version\b|\bsys\.user",
            ),
            Signature(
                "server variable",
                r"@@(?:version|hostname|datadir|servername|global|basedir)|\bxp_\w{3,20}|\bsp_(?:executesql|oa|"
                r"makewebtask|password|help)\w{0,20}|\bdeclare\s@\w",
            ),
            Signature("case distinction", r"\bcase\s?when\s?[\s(].{1,120}?\bthen\b", 0.8),
            Signature(
                "condition as a call",
                r"\b(?:if|iif)\s?\(\s?[(\s]{0,3}(?:\d{1,12}\s?(?:=|<|>)|select\b|benchmark\b|sleep\b)",
            ),
            Signature(
                "change of tables",
                r"\binsert\sinto\s\w{1,40}[\s(].{0,200}?(?:values|select)\b|\bupdate\s\w{1,40}\sset\s\w{1,40}\s?=|"
                r"\bdrop\s(?:table|database)\s\w|\bdelete\sfrom\s\w{1,40}\s(?:where|;|--)|\binto\s(?:out|dump)file\b|"
                r"\balter\stable\s\w",
            ),
            Signature(
                "searching clause behind a closed quote",
                r"['\"`]\)*\s(?:and|or|xor|like|between|is|in|rlike|procedure|order|"
                r"having|group|limit|where|union)\b",
                0.4,
            ),
            Signature("values listed behind a quote", r"['\"]\s?,\s?(?:null\b|\d{1,4}\b|['\"])[\s,\d'\"nul)]{4,}", 0.5),
            Signature("text joined to a closed quote and on", r"['\"]\s?\|\|\s?[\w(][^'\"|]{0,40}\|\|\s?['\"]"),
            Signature("texts joined", r"['\"]\s?(?:\|\||\+)\s?(?:['\"(]|char|chr|concat|select|\d)", 0.6),
            Signature(
                "characters by number", r"\b(?:char|chr)\s?\(\s?\d{1,3}\s?[,)]|\b0x[0-9a-f]{8,}\b|\bunhex\s?\(", 0.6
            ),
            Signature("function of SQL", r"\b" + SQL_CALLS + r"\s?\(\s?[\w@*('\"\d)]", 0.3),
            Signature(
                "number, logical word, value",
                r"\d['\")\s]{1,4}(?:or|and|xor|\|\||&&|having|div|like|rlike)[\s(]{1,3}['\"\d@(-]",
                0.6,
            ),
            Signature("comparison as a factor", r"\(\s?\d{1,12}\s?=\s?\d{1,12}\s?\)\s?[*+/-]\s?\d"),
            Signature(
                "alias and condition", r"\)\s?as\s\w{1,30}\swhere\b|\bin\sboolean\smode\b|\bwhere\s\d{1,10}\s?=\s?\d"
            ),
            Signature("NULL compared", r"(?:or|and|not|where|having)\s.{0,40}?\bis\s(?:not\s)?null\b", 0.7),
            Signature("list of NULLs", r"null\s?,\s?null\s?[,)]", 0.8),
            Signature("limit", r"\blimit\s\d{1,6}\s?(?:,\s?\d|offset\b)", 0.6),
        ),
        "xss": (
            Signature("script element", r"<\s?/?\s?script(?:[\s/>:]|\z)"),
            Signature(
                "script URL",
                r"j\s?a\s?v\s?a\s?s\s?c\s?r\s?i\s?p\s?t\s?:\s?[\w/'\"%\\(]{1,40}\s?[.(=%\[`/]|"
                r"\b(?:vbscript|livescript|mocha|jscript)\s?:\s?[\w\[]",
            ),
            Signature("event handler", r"(?:[\s\"'/<;]|^)on" + EVENTS + r"[a-z]{0,20}\s?=\s?[\w\"'`(&\[{/$\\!]"),
            Signature(
                "active element",
                r"<\s?/?(?:iframe|frameset|object|embed|applet|svg|layer|ilayer|bgsound|base|isindex|marquee|"
                r"math|animate|keygen|xmp|noscript|plaintext|comment|listing|foreignobject|htmlfile)\b",
            ),
            Signature("element of a head", r"<\s?/?(?:meta|link|style|xml|body|html|head|title|template)\b", 0.6),
            Signature(
                "element that loads",
                r"<\s?(?:img|image|video|audio|source|input|button|form|textarea|select|a|div|br|table|td|details|"
                r"p|b|span|x|set|event|x:script)\b[^>]{0,300}?(?:=|\z)",
                0.5,
            ),
            Signature(
                "style that acts",
                r"\bexpression\s?\(|-moz-binding|behaviou?r\s?:\s?url|@import\s?['\"u]|url\s?\(\s?['\"]?\s?(?:j|data:)",
            ),
            Signature(
                "dialogue",
                r"(?:\b|_)(?:alert|prompt|confirm|msgbox)\s?(?:\(|`|&lpar;)\s?(?:[\d'\"/`)\\&]|document|window|string|"
                r"location|this|self|xss|\w{1,20}\s?\))",
            ),
            Signature(
                "document read or written",
                r"\bdocument\s?\.\s?(?:cookie|location|write(?:ln)?|domain|url|body|referrer|documentelement)|"
                r"\bwindow\s?\.\s?(?:location|open|name)|\bdocument\[|\bself\[|\btop\[|\bwindow\[|\bthis\[['\"]",
            ),
            Signature(
                "characters by number",
                r"fromcharcode|\batob\s?\(|\bunescape\s?\(|\beval\s?\(\s?(?:string|unescape|name|location|atob)",
            ),
            Signature(
                "script code",
                r"\blocation\s?(?:\.\s?(?:href|hash|search|replace|assign)|=)|innerhtml|outerhtml|"
                r"settimeout\s?\(|setinterval\s?\(|\.constructor\b|\bjavascript\s?:|\beval\s?\(",
                0.5,
            ),
            Signature("element behind a closed attribute", r"^[^<]{0,60}['\"]\s?/?\s?>\s?[<\w]"),
            Signature(
                "element closed early",
                r"</\s?(?:textarea|title|style|script|noscript|xmp|iframe|option|select)\s?>\s?<",
            ),
            Signature(
                "document in a URL",
                r"data\s?:\s?(?:text/html|image/svg|application/x?html|text/xml|;base64|,)|srcdoc\s?=|"
                r"xlink\s?:\s?href|formaction\s?=|xmlns\s?:\s?\w{1,20}\s?=|<\?(?:import|xml\s?:\s?namespace)|mhtml:|dynsrc\s?=|lowsrc\s?=",
            ),
            Signature(
                "quote that ends a script",
                r"['\"]\s?\)?\s?;\s?(?:alert|eval|prompt|confirm|document|window|var|location|setTimeout|function)\b",
            ),
            Signature("section or instruction of markup", r"<!\[cdata\[|<\?xml|<!--\[if\b", 0.6),
            Signature("script entity", r"&\s?\{[^}]{1,80}\}", 0.9),
            Signature("arrow that opens nothing known", r"<\s?[a-z!/][^<>]{0,200}>?", 0.15),
        ),
        "path-traversal": (
            Signature("way up", r"(?:^|[/\\=\s\"'(:,>])(?:\.|0x2e){2,4}(?:[/\\]|0x2f|0x5c)", 0.4),
            Signature("way up, twice or more", r"(?:(?:\.|0x2e){2,4}(?:[/\\]|0x2f|0x5c){1,4}(?:\.[/\\])?){2}", 0.4),
            Signature(
                "way up, three times or more", r"(?:(?:\.|0x2e){2,4}(?:[/\\]|0x2f|0x5c){1,4}(?:\.[/\\]){0,2}){3}"
            ),
            Signature("way up from the root", r"^[/\\]{1,3}(?:\.|0x2e){2,}(?:[/\\]|0x2f|0x5c|\{)"),
            Signature("dots that are more than two", r"(?:^|[/\\])\.{3,}(?:[/\\{]|\z)|\.{5,}[/\\{a-z]", 0.8),
            Signature("way that stays", r"(?:[/\\]\.){2,}[/\\]|[/\\]{1,2}\.[/\\]{2}|^[/\\]\.[/\\]", 0.8),
            Signature(
                "file of accounts or settings",
                r"etc/(?:passwd|shadow|hosts|group|issue|master\.passwd|sudoers|fstab|crontab|"
                r"apache2?|httpd|my\.cnf|mysql|php\d?|ssh|nginx|proftp|pure-?ftpd|vsftpd|samba|resolv|security|init\.d|motd|"
                r"profile|wu-ftpd)\b",
            ),
            Signature(
                "file of the system",
                r"\bboot\.ini|\bwin\.ini|system32|\bsystem\.ini|/proc/(?:self|version|cpuinfo|\d)|"
                r"\bweb-inf|\bmeta-inf|\bwinnt\b|[a-z]:[\\/](?:windows|winnt|inetpub|boot|program\sfiles|xampp|apache|"
                r"php|mysql)|\bglobal\.asa",
            ),
            Signature(
                "hidden or secret file",
                r"/\.(?:htaccess|htpasswd|git/|svn/|ssh/|env\b|bash_history|bashrc|aws/|ds_store|mysql_history)|"
                r"\.htpasswd|\bid_rsa\b|wp-config\.php|\bweb\.(?:xml|config)\b|\bphp\.ini\b|\bhttpd\.conf|\bmy\.cnf",
            ),
            Signature(
                "log of a server",
                r"/(?:var/)?logs?/(?:[\w.-]{1,40}/){0,3}[\w-]{0,40}(?:log|access|error|messages)|"
                r"\b(?:access|error)[._]log\b",
                0.8,
            ),
            Signature("file by URL", r"file\s?:\s?/{2,3}[\w.%]|\bfile:/\w"),
            Signature("way from a template", r"\{file\}|%00|\\0\b", 0.5),
        ),
        "cmdi": (
            Signature(
                "command behind a separator",
                r"(?:[;|`\n]|&&|\$\(|\|\||^&|[\w\"']&|\s&|\$\{ifs\})[\s(\"'{]{0,3}(?:/?(?:usr/|bin/|sbin/|local/)"
                r"{1,3})?" + COMMANDS + r"(?:\.exe)?(?:\s|[;|&`)#\"'<>$,\\]|\z)",
            ),
            Signature(
                "common word as a command",
                r"(?:[;|`\n]|&&|\$\(|\|\|)\s?(?:/?(?:usr/|bin/|sbin/|local/){1,3})?"
                + COMMANDS_LIKE_WORDS
                + r"(?:\s?[;|&`)#\n\"'>]|\s[-/~$.\"'\\*]|\s[a-z]:|\s?\z)",
            ),
            Signature(
                "filter as a command",
                r"(?:[;|`\n]|&&|\$\()\s?(?:type|more|less|head|tail|find|sort|echo|set|sed|awk|grep|who|"
                r"date)\s?(?:\s[-/~$.\"'\\*\d]|[;|&`)#]|\z)",
                0.5,
            ),
            Signature("echo behind a separator", r"[;|&`\n]echo\s[\"'$\w]"),
            Signature(
                "program by its path",
                r"(?:/usr)?(?:/local)?/s?bin/[a-z]{2,12}\b|/windows/system32/\w|cmd(?:\.exe)?\s?/[ck]\b",
            ),
            Signature(
                "command in quotes that run it",
                r"`\s?(?:/?(?:usr/|bin/|sbin/){0,3})"
                + r"(?:"
                + COMMANDS
                + "|"
                + COMMANDS_LIKE_WORDS
                + r")\b[^`]{0,120}`|"
                r"\$\(\s?(?:/?(?:usr/|bin/|sbin/){0,3})(?:" + COMMANDS + "|" + COMMANDS_LIKE_WORDS + r")\b",
            ),
            Signature("function of a shell", r"\(\s?\)\s?\{\s?[:_]?\s?;?"),
            Signature(
                "ping or lookup",
                r"\bping6?(?:\.exe)?\s(?:-\w{1,2}\s?\d{0,5}\s){0,3}[\d.]{7,}|\bping(?:\.exe)?\s-\w\s\d|\bnslookup\s[\w.-]{3,}",
            ),
            Signature(
                "loading or connecting",
                r"\b(?:wget|curl)\s(?:-\w{1,10}\s){0,3}(?:https?:|ftp:|\d|[\w-]{1,30}\.)|/dev/tcp/|\bnc\s-\w|"
                r"\bbash\s-[ci]|powershell(?:\.exe)?\s-\w|\bsh\s-[ci]\b",
            ),
            Signature("listing a drive", r"(?:\b|[|&;$+])dir[\s+]?(?:/\w\s)?[a-z]:|\btype\s[a-z]:[\\/]"),
            Signature("removal", r"\brm\s-[rf]{1,2}\s|\bdel\s/[sqf]\b|\bchmod\s[0-7+]{2,4}\s"),
            Signature("separator at the end", r"\w\s?(?:\||;|&&)\s?\z|^\s?(?:\|{1,2}|;|&&)\s?[a-z/]", 0.3),
        ),
        "ssi": (
            Signature(
                "server-side include", r"<!--\s?#\s?(?:exec|include|echo|config|printenv|fsize|flastmod|set|if|cmd)\b"
            ),
        ),
        "xxe": (
            Signature("entity declared", r"<!entity\b"),
            Signature(
                "document type with an outside part",
                r"<!doctype\s[^>]{0,120}?(?:\[|\ssystem\s|\spublic\s['\"]-//(?:[a-vx-z]|w[a-z]))",
            ),
            Signature(
                "document included",
                r"<\s?xi\s?:\s?include|/xinclude['\"]|<xsl:(?:value-of|include|import)|<\?xml-stylesheet",
            ),
        ),
        "ldap": (
            Signature("filter closed and opened", r"[\w*]\s?\)\s?\(\s?[|&!(]?\s?\(?[\w|&!*]{1,30}\s?[=(]|\*\s?\)\s?\("),
            Signature("filter of several conditions", r"\(\s?[|&!]\s?\(?\s?\w{1,30}\s?=|\*\(\s?\)?\s?[|&]"),
            Signature("any object", r"\b(?:objectclass|userpassword|samaccountname)\s?=\s?[\w]{0,10}\*"),
            Signature("escaped filter", r"\\2a|\\28|\\29"),
        ),
        "nosqli": (
            Signature(
                "operator of a query",
                r"(?:['\"\[{,]|^)\s?\$(?:ne|gt|lt|gte|lte|in|nin|regex|where|or|and|nor|exists|eq|not)\b\s?['\"\]:=]",
            ),
            Signature(
                "code in a query",
                r"\bthis\.\w{1,40}\s?(?:==|!=|\.match|\.length|<|>)|\bdb\.\w{1,40}\.(?:find|insert|drop|remove|update)\b|"
                r"\bnew\sdate\s?\(\s?\)\s?;?\s?(?:do|while)\b",
            ),
        ),
        "crlf": (
            Signature(
                "header behind a line break",
                r"\n\s?(?:set-cookie|location|b?cc|content-(?:length|type|disposition)|x-[\w-]{1,40}|host|refresh|"
                r"link|cookie|referer|user-agent|access-control-[\w-]{1,30})\s?:",
            ),
            Signature("line of a response behind a line break", r"\n.{0,20}http/[12](?:\.\d)?\s\d"),
            Signature("line break in disguise", "[\u560a\u560d]"),
            Signature("header-like text behind a line break", r"\n[a-z][a-z-]{2,30}:\s?[\w%]", 0.5),
        ),
        "code": (
            Signature(
                "code of PHP",
                r"<\?(?:php|=|\s)|\b(?:shell_exec|passthru|proc_open|call_user_func(?:_array)?|create_function|base64_decode|"
                r"file_get_contents|file_put_contents|phpinfo|pcntl_exec|assert|system|popen)\s?\(\s?[\"'$\w)/@]",
            ),
            Signature("execution called", r"\b(?:eval|exec|execfile|compile)\s?\(\s?['\"$_%]", 0.8),
            Signature(
                "inner names of Python",
                r"__(?:class|globals|import|builtins|subclasses|mro|base|init)__|\bos\.(?:popen|system)\b|subprocess\.",
            ),
            Signature(
                "inner names of Java",
                r"java\.lang\.|\bgetruntime\b|processbuilder|\bclass\.forname|ognl\.|#_memberaccess|freemarker\.template",
            ),
            Signature("serialised object", r"\bo:\d{1,4}:\"\w|^a:\d{1,4}:\{|\bro0ab[\w+/]{6,}"),
            Signature(
                "superglobal", r"\$_(?:get|post|request|cookie|server|files|session|env)\b|\bglobals\[|_session\["
            ),
            Signature("format string", r"(?:%\d{0,3}\$?l?[nxsp]){3,}|%\d{3,}[dxns]|%\d\$[nsx]", 0.8),
        ),
        "ssti": (
            Signature(
                "arithmetic in a template", r"(?:\{\{|\$\{|#\{|<%=?|@\(|\*\{)\s?['\"]?\d{1,6}['\"]?\s?[*+-]\s?['\"]?\d"
            ),
            Signature(
                "object in a template",
                r"(?:\{\{|\$\{|#\{|<%=?|\*\{)[^}%]{0,120}(?:__|\.class\b|config\.|self\.|request\.|t\(|\.exec|"
                r"\.popen|\.getenv|constructor|system\()",
            ),
            Signature(
                "statement of a template",
                r"\{%\s?(?:for|if|import|include|set)\b|<#(?:assign|include)\b|#set\s?\(\s?\$|\{php\}|<%\s?\w",
            ),
            Signature("template expression", r"\{\{[^{}]{1,120}\}\}|\$\{[\w.]{1,40}\}", 0.5),
        ),
        "log4shell": (
            Signature("lookup by name", r"\$\{\s?jndi\s?:"),
            Signature(
                "lookup in disguise",
                r"\$\{[^}]{0,40}\$\{[^}]{0,60}:[^}]{0,20}\}|\$\{(?:lower|upper|env|sys|date|::-|java|ctx|k8s|main|base64)\s?:",
            ),
            Signature(
                "directory address in a lookup",
                r"(?:jndi|\}i?|\}ndi)\s?:(?:ldaps?|rmi|dns|iiop|corba|nis|nds|http)\s?:/",
            ),
        ),
        "rfi": (
            Signature(
                "stream of PHP",
                r"\b(?:php|expect|phar|zip|glob|ogg|zlib|ssh2|rar)://|\bdata://|php://(?:input|filter)|\bauto_prepend_file\b",
            ),
            Signature(
                "remote script that swallows the rest",
                r"(?:^|=)\s?(?:https?:|ftps?:)?[/\\]{2}[\w.@:-]{3,200}[/\\][^\s]{0,200}"
                r"(?:\?{2,3}|\.(?:txt|inc|cmd|gif|jpe?g|dat)\?.{0,20})\z",
            ),
            Signature(
                "remote file in an argument",
                r"\?[\w\[\]]{1,60}=\s?(?:https?|ftps?)://[\w.@:-]{3,100}/[^\s?&]{0,100}(?:cmd|shell|\.txt|c99|r57|\.php)",
                0.8,
            ),
            Signature(
                "remote address for a path",
                r"[?&][\w\[\]]{0,60}(?:path|dir|root|include|base|file|inc)\w{0,20}\]?=\s?(?:https?|ftps?)://",
            ),
            Signature("remote address that swallows the rest", r"^(?:https?|ftps?)://[^\s?]{4,200}\?\z", 0.6),
            Signature("share of a network", r"^\\{2}[\w.-]{3,60}\\[\w$.-]{1,60}\\"),
            Signature(
                "script at a bare URL",
                r"^(?:https?|ftps?)://(?:\d{1,3}\.){3}\d{1,3}/\w{1,40}\.(?:txt|php|sh|cgi|pl|inc|dat)",
                0.8,
            ),
            Signature("code at a URL", r"^(?:https?|ftps?)://[^\s]{3,200}\.(?:php\d?|txt|inc|cgi|sh|pl)\x00?\z", 0.5),
        ),
        "ssrf": (
            Signature(
                "address of an inner host",
                r"(?:https?|ftp|ldaps?|tftp|gopher|dict)\s?:/{1,3}(?:[\w.:%-]{0,60}@)?(?:127\.\d|10\.\d{1,3}\.\d{1,3}\.|"
                r"192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|localhost\b|0\.0\.0\.0|0x[0-9a-f]{8}|\d{8,10}(?:[:/]|\z)|0177\.|"
                r"\[(?:::|fd|fe80|0:0)|metadata\.|127\.1\b)",
            ),
            Signature("scheme of another service", r"\b(?:gopher|dict|sftp|tftp|netdoc|jar)\s?:/{1,2}[\w\[]"),
        ),
        "scanner": (
            Signature(
                "page that scanners try",
                r"/(?:phpmyadmin|pma|myadmin|mysqladmin|dbadmin|phppgadmin|wp-login|wp-admin|wp-content/plugins|"
                r"xmlrpc\.php|administrator/index|cgi-bin/|manager/html|actuator|solr/admin|jmx-console|invoker/|hnap1|"
                r"boaform|setup\.php|eval-stdin|vendor/phpunit|server-status|_ignition|autodiscover|owa/auth|"
                r"console/login|phpinfo\.php|shell\.(?:php|asp|jsp)|cmd\.(?:php|asp|jsp)|c99|r57)",
                0.8,
            ),
            Signature(
                "copy or secret that scanners try",
                r"^/[^\s?]{0,120}\.(?:bak|old|orig|save|swp|sql|tar|tgz|zip|gz|rar|7z|mdb|pem|key|env|git|svn|"
                r"htaccess|htpasswd|ds_store|inc|cgi|log)(?:[/?~]|\.gz|\z)|~\z",
                0.6,
            ),
            Signature(
                "mark of a scanner",
                r"\b(?:acunetix|nessus|nikto|netsparker|burpcollaborator|w3af|webinspect|appscan|openvas|qualys|"
                r"vega|skipfish|arachni|sqlmap|xssya|interact\.sh|oastify|oast\.(?:fun|pro|me|site|live|online))\b",
                0.8,
            ),
            Signature(
                "random page of a scanner", r"^/(?:test|nonexistent|random|nosuch)\w{0,20}\d{2,}\.\w{2,4}\z", 0.6
            ),
        ),
    }
)
"""Signatures of texts, by family; families are named as the anomaly types of the data sets, where they have them."""
AGENT_FAMILIES: Mapping[str, tuple[Signature, ...]] = MappingProxyType(
    {
        "scanner": (
            Signature(
                "agent of an attack tool",
                r"sqlmap|nikto|\bnmap\b|masscan|dirbuster|gobuster|wpscan|acunetix|nessus|openvas|w3af|"
                r"zgrab|nuclei|havij|\bburp|\bzap/|arachni|whatweb|wfuzz|ffuf|jorgee|netsparker|\bparos|webinspect|hydra|"
                r"morfeus|muieblackcat|zmeu|dirsearch|feroxbuster|commix|skipfish|whatcms|joomscan|metasploit|xssya",
            ),
            Signature(
                "agent of a library",
                r"^(?:curl|wget|libwww-perl|python-(?:requests|urllib)|go-http-client|java|ruby|perl|winhttp)\b",
                0.3,
            ),
            Signature("agent without content", r"^[\s'\"`.-]{0,3}\z", 0.4),
        ),
        "cmdi": (
            Signature("function of a shell", r"\(\s?\)\s?\{"),
            Signature("command", r"[;|`]\s?(?:/bin/|/usr/bin/|wget\s|curl\s|bash\s)"),
        ),
        "log4shell": FAMILIES["log4shell"],
        "sqli": (
            Signature(
                "query or comparison",
                r"union[\s(]{1,3}(?:all\s)?select|'\s?(?:or|and)\s|\bsleep\s?\(|\bwaitfor\sdelay|--\s?\z",
            ),
        ),
        "xss": (Signature("script element", r"<\s?/?\s?(?:script|svg|img|iframe)\b"),),
        "path-traversal": (Signature("way up or file of accounts", r"\.\./|/etc/passwd"),),
    }
)
"""Signatures of user agents, by family."""


class Match(NamedTuple):
    """One signature found: in which column, what it is, and the text that it matched."""

    family: str
    name: str
    pattern: str
    column: str
    excerpt: str


@dataclass(frozen=True)
class _Table:
    """Signatures of one kind of field, compiled; weights in hundredths."""

    rows: tuple[tuple[str, Signature], ...]
    bank: PatternBank
    weights: npt.NDArray[np.int64]


class Signatures(BaseEstimator):  # type: ignore[misc]
    """Score web events by the signatures that they match: HIGHER = MORE ABNORMAL.

    A family scores the sum of the weights of its signatures in the field that has most, at most 2; an event scores the
    sum of its families. From 1.0 on it is an attack. Texts and names of variables are compared with :data:`FAMILIES`,
    agents with :data:`AGENT_FAMILIES`; an agent that is not well-formed adds 0.4 to ``scanner``.

    Nothing is learned from data: :meth:`fit` finds the columns. Signatures are attack classes of the OWASP Core Rule
    Set (coreruleset.org), patterns and weights are this project's.

    Args:
        columns: what the columns mean; found by their names in :meth:`fit` if not given.

    Attributes:
        columns_: the columns that are read.
        sentence_: the rule in words.
    """

    def __init__(self, columns: EventColumns | None = None) -> None:
        self.columns = columns

    def fit(self, X: pl.DataFrame, y: object = None) -> "Signatures":
        """Find the columns.

        Args:
            X: raw web events, or payloads.
            y: ignored.

        Returns:
            The detector itself.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        columns = self.columns or columns_of(X)
        columns = EventColumns(columns.texts, agent=columns.agent, name=columns.name)
        check(X, columns)
        self.columns_ = columns
        signatures = sum(map(len, FAMILIES.values()))
        where = ", ".join(_fields(columns))
        self.sentence_ = (
            f"An event is an attack if {where} match signatures whose weights sum to {ALARM:g} or more, "
            f"of {signatures} in {len(FAMILIES)} families."
        )
        return self

    def score_samples(self, X: pl.DataFrame) -> npt.NDArray[np.float64]:
        """Sum the scores of the families: shape (rows,), HIGHER = MORE ABNORMAL, 1.0 or more is an attack.

        Args:
            X: raw web events.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        return np.asarray(self._hundredths(X).sum(axis=1) / HUNDRED)

    def families(self, X: pl.DataFrame) -> pl.DataFrame:
        """Say which families each row matches, for labelling.

        Args:
            X: raw web events.

        Returns:
            One Boolean column for each family of :data:`FAMILIES`: true where the family scores 1.0 or more.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        return pl.DataFrame(self._hundredths(X) >= HUNDRED * ALARM, schema=dict.fromkeys(FAMILIES, pl.Boolean))

    def explain(self, X: pl.DataFrame) -> list[str]:
        """Say for each row in one sentence what was found: family, pattern, field and excerpt.

        Args:
            X: raw web events.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        scores = self.score_samples(X)
        return [_sentence(score, found) for score, found in zip(scores, self.matches(X), strict=True)]

    def matches(self, X: pl.DataFrame) -> list[list[Match]]:
        """List for each row the signatures that it matches, the weightiest first.

        Args:
            X: raw web events.

        Raises:
            SchemaError: if a column is missing or has the wrong type.
        """
        self._require_fitted()
        check(X, self.columns_)
        rows: list[list[tuple[float, Match]]] = [[] for _ in range(X.height)]
        for column, families in _fields(self.columns_).items():
            values = distinct(X[column])
            found = _matches(column, values.values, families)
            for row, code in enumerate(values.codes if values.codes is not None else range(X.height)):
                rows[row] += found[code]
        return [[match for _, match in sorted(row, key=lambda pair: -pair[0])] for row in rows]

    def _hundredths(self, X: pl.DataFrame) -> npt.NDArray[np.int64]:
        """Scores of the families in hundredths: whole numbers have the same sum in every order."""
        self._require_fitted()
        check(X, self.columns_)
        scores = np.zeros((X.height, len(FAMILIES)), dtype=np.int64)
        for column, families in _fields(self.columns_).items():
            values = distinct(X[column])
            np.maximum(scores, values.spread(_family_scores(values.values, families)), out=scores)
        return scores

    def _require_fitted(self) -> None:
        if not hasattr(self, "columns_"):
            raise NotFittedError("Signatures is not fitted: call fit first")


def _fields(columns: EventColumns) -> dict[str, bool]:
    """Columns that are compared, and whether they hold agents."""
    agents = {columns.agent: True} if columns.agent else {}
    names = {columns.name: False} if columns.name else {}
    return dict.fromkeys(columns.texts, False) | names | agents


@cache
def _table(agents: bool) -> _Table:
    families = AGENT_FAMILIES if agents else FAMILIES
    rows = tuple((family, signature) for family, signatures in families.items() for signature in signatures)
    weights = np.zeros((len(rows), len(FAMILIES)), dtype=np.int64)
    places = {family: place for place, family in enumerate(FAMILIES)}
    for row, (family, signature) in enumerate(rows):
        weights[row, places[family]] = round(HUNDRED * signature.weight)
    return _Table(rows, PatternBank([signature.pattern for _, signature in rows]), weights)


def _found(table: _Table, values: Texts, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Which signatures each value matches; a missing value matches none."""
    found = table.bank.contains(texts)
    found[[value is None for value in values]] = False
    return found


def _canonical(values: Texts) -> list[str]:
    return [_ends(canonical(text.text)) for text in decode_all([value or "" for value in values])]


def _ends(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} {text[-LONGEST // 2 :]}"


def _malformed(values: Texts) -> npt.NDArray[np.bool_]:
    return np.array([value is not None and not is_valid(value) for value in values], dtype=np.bool_)


def _family_scores(values: Texts, agents: bool) -> npt.NDArray[np.int64]:
    table = _table(agents)
    scores = _found(table, values, _canonical(values)) @ table.weights
    if agents:
        scores[:, list(FAMILIES).index("scanner")] += round(HUNDRED * MALFORMED_WEIGHT) * _malformed(values)
    return np.minimum(scores, round(HUNDRED * MOST_OF_A_FAMILY))


def _matches(column: str, values: Texts, agents: bool) -> list[list[tuple[float, Match]]]:
    table, texts = _table(agents), _canonical(values)
    found: list[list[tuple[float, Match]]] = [[] for _ in values]
    for row, place in np.argwhere(_found(table, values, texts)).tolist():
        family, signature = table.rows[place]
        excerpt = _excerpt(table.bank.first(place, texts[row]) or "")
        found[row].append((signature.weight, Match(family, signature.name, signature.pattern, column, excerpt)))
    if agents:
        for row in np.flatnonzero(_malformed(values)).tolist():
            match = Match("scanner", MALFORMED, "", column, _excerpt(values[row] or ""))
            found[row].append((MALFORMED_WEIGHT, match))
    return found


def _excerpt(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return shown if len(shown) <= EXCERPT else shown[: EXCERPT - 1] + "…"


def _sentence(score: float, found: Sequence[Match]) -> str:
    if not found:
        return "No signature matches (score 0)."
    verdict = "an attack" if score >= ALARM else f"below the {ALARM:g} of an attack"
    listed = "; ".join(f"{match.family}: {match.name} in {match.column} «{match.excerpt}»" for match in found[:4])
    more = f"; and {len(found) - 4} more" if len(found) > 4 else ""
    return f"Score {score:.1f}, {verdict}: {listed}{more}."
