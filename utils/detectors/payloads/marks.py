r"""What in a text speaks for an attack, or against it: marks in its writing, in its tokens and in its encoding.

Marks of the writing are patterns for canonical text (:func:`utils.features.web_events.canonical`): the signatures of
:mod:`utils.detectors.rules.signatures`, and structure that proves nothing alone (a separator with a word behind it, a
path below a folder of the system, a text that is a command line from its first word on). Marks of the tokens are
patterns for the letters of :mod:`utils.detectors.payloads.tokens`. How much each weighs is learned from data. Repeats
that something must follow are bounded: without a bound a text of one long word would take seconds.
"""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import NamedTuple

from utils.detectors.rules import signatures


class Mark(NamedTuple):
    """One mark.

    Attributes:
        family: what it speaks for; ``"benign"`` if against an attack.
        name: what it recognises, in words.
        pattern: regular expression.
    """

    family: str
    name: str
    pattern: str


COMMAND = rf"(?:{signatures.COMMANDS}|{signatures.COMMANDS_LIKE_WORDS})"
SYSTEM_PATH = r"(?:/?(?:usr/|local/|s?bin/){1,3})"
SEPARATOR = r"(?:[;|&]{1,2}|\n|\$\(|\\n|\\r)"
PROGRAM = (
    r"(?:w|who|df|free|top|history|mount|umount|route|arp|tree|finger|groups|users|lsof|vol|ver|pwd|last|set|time|date|"
    r"echo|type|find|head|tail|more|less|grep|sort|start|timeout|mail|cmd|nc|reboot|halt)"
)
ACTIVE_TAG = (
    r"(?:script|iframe|frame|frameset|object|embed|applet|svg|math|base|meta|link|style|"
    r"form|isindex|marquee|animate|set|xml|layer)"
)
CALLED = (
    r"(?:alert|prompt|confirm|print|eval|fetch|open|import|settimeout|setinterval|function|"
    r"write|writeln|atob|console\.\w{2,6}|getscript|find|map)"
)
PLAIN_TAG = (
    r"p|b|i|u|s|em|strong|h[1-6]|ul|ol|li|dl|dt|dd|t[drh]|table|thead|tbody|tfoot|"
    r"caption|span|div|br|hr|a|img|code|pre|"
    r"blockquote|label|small|sup|sub|font|center|section|article|header|footer|nav|"
    r"main|aside|figure|figcaption|mark|del|ins|"
    r"cite|q|abbr|address|time|tt|kbd|var|option|select|button|input|fieldset|legend|"
    r"summary|picture|title|html|head|body"
)
PLAIN_ATTRIBUTES = (
    r"(?:\s(?:class|id|alt|title|width|height|target|rel|type|name|value|colspan|rowspan|"
    r"border|cell(?:padding|spacing)|align|valign|"
    r"lang|dir|role|for|placeholder|color|size|face|bgcolor|loading|datetime|data-[a-z-]{1,20}|aria-[a-z-]{1,20})"
    r"(?:\s?=\s?(?:\"[^\"<>():]*\"|'[^'<>():]*'|[\w#.%-]+))?"
    r"|\s(?:href|src|srcset|action)\s?=\s?[\"']?(?:https?:/|mailto:|tel:|/|\.|#|[a-z0-9_])[^\"'<>():\s]*[\"']?"
    r"|\sstyle\s?=\s?\"[\w\s#:;.,%!-]*\"|\s(?:checked|selected|disabled|readonly|required|hidden|controls))*"
)
"""Attributes of elements of text, with values that run nothing."""
MEDIA = (
    r"(?:png|jpe?g|gif|svg|webp|css|js|tsx?|jsx|html?|md|pdf|docx?|xlsx?|csv|json|mp[34]|zip|scss|py|java|vue|woff2?)"
)
WRITTEN: Mapping[str, tuple[tuple[str, str], ...]] = MappingProxyType(
    {
        "sqli": (
            ("quote between digits", r"\d['\"]\d"),
            ("quote, bracket or operator that ends all", r"^[\w.-]{0,30}['\"]\s?\)*;?\z"),
            ("digit and logical word without a blank", r"\d(?:or|and|union|having|order)\b"),
            ("logical word and digit without a blank", r"\b(?:or|and)\d"),
            ("hexadecimal number", r"\b0x[0-9a-f]{2,}"),
            ("variable of the server", r"@@?\w{2,}"),
            ("stored procedure", r"\b(?:xp|sp|dbms|utl)_\w{3,}"),
            ("quoted letter compared with itself", r"'(\w{0,3})'\s?=\s?'"),
            ("quoting that never closes, behind an equals sign", r"=\s?['\"][^'\"]{0,12}\z"),
            ("query", r"\bselect\b[\s(+-]{0,6}[\w@'\"*(.-]"),
            (
                "source of a query",
                r"\bfrom[\s(`\[]{1,3}[\w.`\]]{1,40}\s?(?:where\b|limit\b|group\b|order\b|as\b|\z|[;)#,])",
            ),
            ("concatenation between quotes", r"['\"]\s?(?:\|\||\+|-|\*|\^|&|%)\s?[\w(@'\"]"),
            ("call of a function of a database", r"\b" + signatures.SQL_CALLS + r"\s?\("),
            ("sleep or benchmark called", r"\b(?:sleep|benchmark|pg_sleep|waitfor)\b\s?[('\d]"),
        ),
        "xss": (
            ("handler of an event in an element", r"<[^>]{0,300}?[\s\"'/\x0b]on[a-z]{3,30}\s?="),
            ("handler of an event", r"(?:^|[\s\"'`/;])(?:on[a-z]{3,30}|fscommand|seeksegmenttime)\s?=\s?[^\s=]"),
            ("handler and call", r"\bon[a-z]{3,30}\s?=.{0,80}?[\w\])'\"]\s?[(`]"),
            ("active element", r"<\s?/?\s?" + ACTIVE_TAG + r"\b"),
            ("element of no known name", r"<[a-z]{1,12}[:-][a-z]{1,12}\b|<x\b|<xss\b"),
            ("element with a slash for a blank", r"<[a-z]{1,12}/[^>\s]"),
            (
                "attribute that may load or run",
                r"<[^>]{0,200}?\b(?:srcdoc|formaction|action|background|data|code|"
                r"codebase|dynsrc|lowsrc|xlink:href|folder|classid|poster|values|from|"
                r"to|content)\s?=",
            ),
            (
                "scheme that runs",
                r"(?:script|mocha|jar|mhtml|feed|view-source)\s?:|j\s?a\s?v\s?a\s?s\s?c\s?r\s?i?\s?p?\s?"
                r"t?|data\s?:\s?(?:text|image/svg|application|;|,)",
            ),
            ("scheme that runs in an attribute", r"=\s?['\"`]?\s?(?:j\s?a\s?v\s?a|vb|live)s\s?c\s?r"),
            ("dialogue called", r"\b(?:alert|prompt|confirm)['\"\])]{0,3}\s?(?:[(`\[]|&lpar;)"),
            (
                "code called behind a closed quote",
                r"^[^<]{0,30}?(?:['\"`}\]]|\);)[\s)}\];,+*/|&^-]{1,6}(?:[\w.]{0,20}\.)?" + CALLED + r"\s?[(`]",
            ),
            (
                "object of the browser",
                r"\b(?:document|window|location|top|self|parent|this|navigator)\s?(?:\[|"
                r"\.(?:cookie|location|domain|write|href|src|body|url|name|alert|open|"
                r"constructor))",
            ),
            (
                "style that runs or loads",
                r"expression\s?\(|expr.{1,12}ssion\s?\(|-moz-binding|behaviou?r\s?:|"
                r"@import|url\s?\(\s?['\"]?(?:\w{2,12}:|//)|animation(?:-name)?\s?:",
            ),
            ("character by number inside markup", r"&#x?[0-9a-f]{2,8};?|\\x[0-9a-f]{2}|\\u[0-9a-f]{4}"),
            ("quote and bracket that close an element", r"^[^<>\s]{0,30}['\"`]\s?/?>"),
            ("attribute closed and another begun", r"^[^<=]{0,30}['\"`]\s?/?\s?[a-z]{3,30}\s?=\s?['\"`]?[\w(]"),
            ("element that does not end", r"<[a-z][a-z0-9]{0,12}[\s/][^>]{1,400}\z"),
            ("element closed that nothing opened", r"^[^<]{0,12}</\s?[a-z]{3,}"),
            ("markup in another character set", r"\+adw-|\+ad4-|[¼＜]\s?/?(?:script|img|svg)|&adz"),
            ("markup inside an instruction", r"<!\[cdata|<!--\[if|<\?(?:xml-stylesheet|import|php|=)|<%"),
            (
                "code joined from strings",
                r"(?:\[['\"]\w{1,20}['\"]\s?(?:\+|\])|\.constructor\b|fromcharcode|\batob\b|\bunescape\b)",
            ),
            ("script element that does something", r"<\s?/?\s?script[\s/>\x0b]"),
            (
                "nothing but quotes and brackets of markup",
                r"^[\s'\"/*;\\-]{0,12}>?\s?<{1,3}\s?/?\s?\w{0,12}\z|^['\"`\s]{0,3}[<>'\"]\s?\z",
            ),
            (
                "URL behind an element",
                r"<[a-z]{1,12}[^>]{0,60}=\s?['\"]?(?:https?:)?//[^\s/>'\"]{1,60}['\"]?\s?/?>?",
            ),
            (
                "header of the head",
                r"http-equiv|charset\s?=\s?['\"]?(?:x-|utf-7|iso-2022|mac|us-ascii)|xmlns(?::\w{1,12})?\s?=",
            ),
        ),
        "path-traversal": (
            ("way up in letters that lost a sign", r"\.\.(?:2f|5c|c0af)"),
            ("hidden file and nothing else", r"^[./\\]{0,3}\.[a-z][\w.-]{2,20}\z"),
            ("way up", r"(?:\.{2,}|\.\\|\?\.\?\.|0x2e0x2e)\s?[/\\;%]"),
            ("way up twice", r"(?:(?:\.{2,4}|\?\.\?\.|0x2e0x2e)(?:\s?[/\\.;%]){1,6}){2}"),
            (
                "way up three times",
                r"(?:(?:\.{2,4}|\?\.\?\.|0x2e0x2e)(?:\s?[/\\.;]|0x2f|0x5c|%\w{1,2}){1,8}){3}",
            ),
            (
                "way up five times",
                r"(?:(?:\.{2,4}|\?\.\?\.|0x2e0x2e)(?:\s?[/\\.;]|0x2f|0x5c|%\w{1,2}){1,8}){5}",
            ),
            (
                "way up and a file that shows nothing",
                r"\.{2}[/\\][\w./\\-]{0,60}\.(?:ini|conf|cnf|inc|php\d?|asp|aspx|jsp|log|xml|cfg|bak|env|cgi|pl)\b",
            ),
            (
                "folder of the system at the beginning",
                r"^[\s\"']?/{1,3}(?:etc|proc|sys|dev|boot|root|sbin|private|volumes|"
                r"library|kernel|winnt)/[^\s]{0,200}\s?\z",
            ),
            (
                "folder of programs or logs at the beginning",
                r"^[\s\"']?/{1,3}(?:var/(?:log|lib|run|adm|spool|apache\d?|mail|db|"
                r"cpanel|local|webmin|www/(?:logs|conf|error|access|mgr|html/\.))|"
                r"usr/(?:local|lib|pkg|ports|home|sbin|etc|apache|internet|spool)|"
                r"opt/(?:lampp|xampp|apache|httpd|jboss|tomcat|nginx))\b[^\s]{0,200}\s?\z",
            ),
            (
                "file of settings",
                r"[\w./\\-]{1,200}\.(?:conf|cnf|ini|cfg|htaccess|htpasswd|inc|err|"
                r"myd|frm|passwd|pid|sam|dat)(?:\.\w{2,10})?(?:\s|\x00|\z|[;?#&])",
            ),
            (
                "journal of a server",
                r"(?:^|[/\\])(?:logs?|log-?files)[/\\][\w./\\-]{1,100}|\b(?:access|"
                r"error|auth|install|messages|syslog|maillog|dmesg|lastlog|wtmp|utmp)[._-]?logs?\b|"
                r"[/\\]error\.log",
            ),
            (
                "folder of the server at the beginning",
                r"^/{1,2}(?:apache\d?|httpd|php\d?|mysql|bin|www|web|conf|config|core|"
                r"logs?|xampp|lampp|web-inf|cgi-bin|program\sfiles|windows|mnt|system)/[\w./-]{1,"
                r"100}\s?\z",
            ),
            (
                "hidden file or folder",
                r"(?:^|[/\\])\.(?:ht\w{3,}|git|svn|ssh|env|bash\w{0,9}|aws|mysql_\w{3,"
                r"}|profile|history|rhosts|netrc|subversion|docker|kube)\b",
            ),
            (
                "drive and folder of the system",
                r"\b[a-z]:[/\\]{1,2}(?:windows|winnt|boot|inetpub|program\sfiles|apache|"
                r"php|mysql|xampp|wamp|wwwroot|autoexec|ntldr|pagefile|documents\sand|"
                r"sysprep|system)",
            ),
            (
                "folder of the system without its slash",
                r"^(?:etc|proc|boot|root|var/log|winnt|windows)[/\\][\w./\\-]{2,100}\s?\z",
            ),
            (
                "folder of settings in a path",
                r"[/\\](?:conf(?:ig|\.d)?|etc|sysconfig|sites-(?:enabled|available)|"
                r"conf-available)[/\\][\w.-]{2,60}\s?\z",
            ),
            (
                "file of settings at the end of a path",
                r"[/\\](?:web|server|context|tomcat-users|application|settings|config|"
                r"wp-config|configuration|database|local)[\w.-]{0,12}\.(?:xml|php|"
                r"config|properties|ya?ml|asp|inc|json)\b",
            ),
            ("folder of changing files at the beginning", r"^/var/[\w./-]{2,100}\s?\z"),
            ("placeholder of a file", r"[/\\.:=]\{(?:file|filename|path)\}|^\{(?:file|filename)\}"),
            ("dots and slashes only", r"^[./\\]{3,}\z"),
            ("stays where it is, again and again", r"(?:[/\\]\.){2,}[/\\]|[/\\]{3,}\w"),
            ("file by a scheme", r"\b(?:file|php|zip|phar|glob|jar|netdoc)\s?:\s?/{1,3}[\w.%]"),
        ),
        "cmdi": (
            ("separator at the beginning and a word", r"^[\s'\")]{0,4}" + SEPARATOR + r"\s?['\"]?[\w/{\\.$]"),
            ("separator, word and the end", SEPARATOR + r"\s?[a-z]{1,12}\s?(?:[;|&`)#'\"\n]{1,3}|\\n|\x00)?\s?\z"),
            (
                "separator and a command with an argument",
                SEPARATOR
                + r"\s?"
                + SYSTEM_PATH
                + "?"
                + COMMAND
                + r"(?:\.exe)?\s{1,2}(?:[-/~$.\"'\\*{<>]|\d|[a-z]:|[\w-]{2,}\.[\w-]{2,}|https?:)",
            ),
            (
                "separator and a command",
                SEPARATOR + r"\s?" + SYSTEM_PATH + "?" + COMMAND + r"(?:\.exe)?(?:\s?[;|&`)#'\"<>\n\\]|\s?\z)",
            ),
            (
                "command in quotes that run it",
                r"(?:^|[^\w\s]|\A.{0,12})`\s?[^`]{0,40}\b"
                + COMMAND
                + r"\b[^`]{0,80}`|\$\(\s?[^)]{0,40}\b"
                + COMMAND
                + r"\b",
            ),
            (
                "something in quotes that run it, and nothing else",
                r"^[^`$]{0,12}(?:`[^`]{2,80}`|\$\([^)]{2,80}\))['\"]?\s?\z",
            ),
            ("placeholder of a command", r"\{(?:cmd|command|exec)\}"),
            ("blank by a variable", r"\$\{?ifs\b|\{[a-z]{2,10},[^}\s]{1,60}\}|\$@|\$\d"),
            (
                "word broken by quotes",
                r"\b[a-z]{1,8}(?:''|\"\"|'[a-z]{1,6}'|\"[a-z]{1,6}\"|\\[a-z]|\^[a-z])[a-z]{1,8}(?:\s|\z|[\\^/])",
            ),
            ("variable set and used", r"\b\w{1,20}=[^\s;]{1,40};\s?\$\w"),
            ("program of the system", r"(?:^|[\s;|&`\"'=(])(?:/usr)?(?:/local)?/s?bin/[a-z\d?*]{1,15}"),
            (
                "reading a file of the system",
                r"\b(?:cat|type|more|less|head|tail|grep|nl|tac|cp|mv|ls)\b[^;|&\w]{1,"
                r"10}(?:[^;|&]{0,30}\s)?(?:/etc/|/proc/|/var/|/root|/e\?|c:\\|%\w{3,"
                r"}%)",
            ),
            (
                "shell of another program",
                r"\b(?:bash|sh|cmd(?:\.exe)?|powershell(?:\.exe)?|pwsh|perl|python\d?|"
                r"ruby|php|node)\s(?:/[ck]\b|-(?:c|e|i|nop|enc\w{0,15}|encodedcommand|"
                r"noprofile|command|exec\w{0,10})\b)",
            ),
            (
                "connection by a shell",
                r"/dev/tcp/|\bnc(?:at)?\s-[a-z]{1,6}\b|>&\s?\S|0>&1|\biex\s?\(|downloadstring|"
                r"certutil\s-|xterm\s-display",
            ),
            ("call that runs a command", r"\b(?:system|exec|shell_exec|passthru|popen|proc_open|eval)\s?\(\s?['\"`$]"),
            (
                "ping or lookup of a host",
                r"\b(?:ping|nslookup|dig|traceroute|tracert)(?:\.exe)?\s(?:-\w\s?\d{0,"
                r"4}\s){0,3}[\w-]{1,40}(?:\.[\w-]{1,30}){1,6}",
            ),
            ("result written to a file or read from it", r"[;|&]\s?[^>]{1,60}>\s?(?:/tmp|[a-z]:\\|/var)|<\s?/etc/"),
            ("value and separator without a blank", r"^[\w.@-]{1,60}" + SEPARATOR + r"[a-z/$]"),
            ("number and separator", r"^[\d.]{1,16}['\")]{0,2}\s?" + SEPARATOR + r"\s?[a-z/$(]"),
            ("separator without blanks and a program", r"(?:[;|&]{1,2}|\n)" + PROGRAM + r"(?:\s?\z|[;|&#'\"]|\s[-/])"),
            ("doubled separator", r"[^\s;|&](?:\|\||&&)[^\s|&=(]"),
            ("commented end behind a separator", SEPARATOR + r"[^#]{1,80}[\s;|&]#\s?\z"),
            ("redirected input of a placeholder or a call", r"[<>]\s?(?:\{\w{2,8}\}|\(\s?\w)"),
            ("function of a shell", r"\(\s?\)\s?\{"),
        ),
        "other": (
            (
                "arithmetic or call in a template",
                r"(?:\{\{|\$\{|#\{|\*\{|@\{|%\{|<%=?)\s?[^}%]{0,80}(?:\d\s?[*+-]\s?\d|\(|__|\.class|@)",
            ),
            ("lookup in a template", r"\$\{\w{0,12}\s?:|\$\{[^}]{0,20}\$\{"),
            ("filter of a directory", r"\)\s?\([|&!\w]|\(\s?[|&!]\s?\(|\*\s?\)+\s?[(|&]|\(\w{1,20}=\*"),
            (
                "query of a path in a document",
                r"\b(?:count|name|string|position|text)\s?\(\s?(?:/|\))|::(?:node|\*)|//\*|\]\s?\|\s?//",
            ),
            ("operator of a document store", r"\$(?:ne|gt|lt|gte|lte|in|nin|regex|where|or|and|exists|not)\b"),
            (
                "entity or outside part declared",
                r"<!\s?(?:entity|element|attlist)|<!doctype\s(?:[^h]|html\s\[)|\bsystem\s['\"]|xinclude|<xsl",
            ),
            ("cdata with markup or quotes", r"<!\[cdata\["),
            ("server-side include", r"<!--\s?#"),
            ("header behind a line break", r"\n\s?[a-z][a-z-]{1,30}:\s?\S"),
            (
                "address that a program loads",
                r"(?:^|=|\?)\s?(?:https?|ftps?)://[^\s?]{3,120}(?:\?{1,3}|\.(?:txt|"
                r"inc|dat|gif|jpe?g)\?.{0,20}|\x00.{0,10})\z",
            ),
            (
                "script with an address in an argument",
                r"\.(?:php\d?|asp|aspx|cgi|pl|inc)\b[^=]{0,60}=\s?(?:https?://|ftp://|"
                r"//|\[?evil|xx\w{2,10}xx|\{\w{2,8}\})",
            ),
            ("address in an argument", r"[?&][\w\[\]]{1,40}=(?:https?|ftp)://"),
            ("command in an argument", r"[?&](?:cmd|exec|command|c|shell)=\w"),
            ("inner URL", r"://(?:127\.|10\.\d|192\.168\.|169\.254\.|localhost|0[/:]|0x[0-9a-f]{8}|\[)"),
            (
                "scheme of another service",
                r"\b(?:gopher|dict|ldaps?|rmi|tftp|expect|data|php|phar)\s?:(?:/{1,3}|[;,]|text)",
            ),
            ("format string", r"(?:%\d{0,4}\$?[nxsdp]\.?){3,}|%\d{3,}[dxns]"),
            (
                "inner names of an interpreter",
                r"__\w{3,12}__|java\.lang|getruntime|processbuilder|_memberaccess|"
                r"\$_(?:get|post|request|server)|\bo:\d{1,4}:\"",
            ),
        ),
        "benign": (
            (
                "command line from its first word on",
                r"^[$#]?\s?(?:git|npm|yarn|pip3?|docker|make|cargo|go|sudo|apt|apt-get|"
                r"brew|kubectl|systemctl|cd|mkdir|ls|grep|cat|tail|echo|python3?|curl|"
                r"tar|sort|ssh|chmod|ffmpeg|man|node|npx)\s[\w./-]",
            ),
            ("file for a reader at the end of a path", r"^[\w~.:/\\\s-]{2,200}[/\\][\w.\s-]{1,80}\." + MEDIA + r"\z"),
            ("sentence that ends", r"[a-z]{2,40}[.!?](?:\s|\z)"),
            (
                "apostrophe of a name or a shortened word",
                r"\b(?:o|d|l|n|m|t|c|s|j|qu|dell|sant|mc)['’][a-z]{2,}|[a-z]['’](?:s|t|re|ve|ll|d|m|all|clock)\b",
            ),
            (
                "inches or feet",
                r"\d\s?(?:\"|''|')\s?(?:x|by|tall|wide|long|deep|high|to|and|or|\)|,|-)?\s?(?:\d|[a-z]{3,}|\z)",
            ),
            (
                "element of text",
                r"<(?:p|b|i|u|em|strong|h[1-6]|ul|ol|li|td|tr|table|span|div|br|hr|"
                r"a|img|code|pre|blockquote|label|small)(?:\s(?:class|href|src|alt|"
                r"id|style|title|width|height|target|rel)=\"[^\"<>()]{0,120}\"){0,"
                r"6}\s?/?>",
            ),
            (
                "object of JSON",
                r"^\s?[\[{]\s?['\"][\w$-]{1,40}['\"]\s?:|^\[(?:\s?-?\d{1,20}(?:\.\d{1,20})?,?){1,400}\]\z",
            ),
            (
                "address of a page",
                r"^(?:https?:)?//[\w.-]{4,60}/[\w./%~-]{0,120}(?:\?[\w.%~+=&-]{0,200})?(?:#[\w-]{0,40})?\z",
            ),
            (
                "nothing but elements of text",
                r"^[^<>]*(?:<(?:/\s?(?:"
                + PLAIN_TAG
                + r")|(?:"
                + PLAIN_TAG
                + r")"
                + PLAIN_ATTRIBUTES
                + r")\s?/?>[^<>]*)+\z",
            ),
            ("nothing but elements without attributes", r"^[^<>]*(?:</?[a-z][\w:-]{0,30}\s?/?>[^<>]*)+\z"),
            ("row of a table", r"\|[\s:]?-{2,}|^[^|\n]{2,40}(?:\s\|\s[^|\n;&]{2,40}){1,8}\z"),
            ("word in backticks inside a sentence", r"[a-z]{2,40}\s`[^`\n]{1,60}`|`[^`\n]{1,60}`[\s;,.]{1,2}[a-z]{2,}"),
            (
                "statement of a programming language at the beginning",
                r"^(?:if|while|for|switch|return|import|export|function|def|class|"
                r"public|private|static|const|let|var|try|throw|assert|using|package|"
                r"from|async|await|struct|enum|fn|func|#include|@\w{2,20}|console\.\w{3,"
                r"6}|std::|system\.out|print(?:f|ln)?)\b[\s({.;:]",
            ),
            ("call that begins all and is closed", r"^[\w.$]{2,40}\([^;|<>]{0,200}\);?\z"),
            ("block in braces", r"[)\w]\s?\{\s[^{}]{0,200}[;\s]\}"),
            ("height in feet and inches", r"\b\d{1,2}'\s?\d{1,2}\""),
            ("fence or heading of Markdown", r"```|^#{1,4}\s\w|\n[-*]\s\w|\]\(https?://|\*\*\w"),
            (
                "declaration of a programming language",
                r"\b(?:def|const|let|var|import|return|public|class|fn|func|void|int|async|await|except|try)\s[\w{(]",
            ),
            ("unit or price", r"\d\s?(?:cm|mm|kg|inch|oz|lb|px|ft|yd|ml|gb|%)\b|[$€£]\s?\d"),
            ("arithmetic", r"^[\s\d.+*/=()^-]{3,60}\z"),
            ("base 64", r"^[\w+-]{12,400}(?:/[\w+-]{0,400}){0,8}={0,2}\z"),
        ),
    }
)
"""Marks of the writing, for canonical text."""
ATOM = r"[1svBqw]"
TOKENS: tuple[tuple[str, str], ...] = (
    ("logical word between comparisons of values", rf"L[L(o]*{ATOM}(?:o{ATOM})*O[L(oO]*[1svBqnfFSwbg]"),
    ("logical word and comparison of names", r"L[L(o]*[nb]O[L(oO]*[1svBqnfFSb]"),
    ("logical word and a value at the end", rf"L[L(o]*{ATOM}\)?(?:\$|c|h|r|\z)"),
    ("logical word and a call", r"L[L(oO]*[fF]\("),
    ("logical word and a query", r"L[L(oO]*S"),
    ("logical word and NULL or a list", r"L.{0,4}O[LB(]"),
    ("comparison of calls", r"[fF]\([^()]{0,12}\)O"),
    ("query united", r"U[k(]*S"),
    ("query united with values", r"U[k(]*S[k(o]*[1svBfFnw*]"),
    ("united at the end of a value", r"^[o1sn)w]{0,4}U(?:\z|c|k?\z)"),
    ("query of values", r"S[k(o]*[1svBfF]"),
    ("query of a table", r"S[^N;]{1,80}?K[(nbmsv]"),
    ("query at the beginning", r"^[(]?S[k(o]*[1svBfFnmowb(]"),
    ("statement behind a semicolon", r";[(]?[DSdCLK]"),
    ("statement behind a semicolon, of words only", r";[DSdCLK][kK]?[mN](?:;|\z|x)"),
    ("statement with an object", r"[Dd](?:k|K|n){1,3}[n(sv1b]"),
    ("statement at the beginning", r"^[Dd][kKnmsvf(]"),
    ("clause and a number", r"K(?:k|K)?[(]?1"),
    ("comment that ends all", r"(?:c|h)(?:\$|r)"),
    ("value and a comment", r"[1s)q]\)?;?(?:c|h)(?:\$|r)"),
    ("known function called", r"f\("),
    ("mathematical function called", r"g\("),
    ("mathematical function compared or in a query", r"[SL,].{0,4}g\(|g\([^)]{0,8}\)[OL]"),
    ("known function called with values", r"f\([(fo]*[1svB)]"),
    ("distinction of cases", r"C[^N]{1,40}C"),
    ("variable", r"v"),
    ("operator and a call", r"[o,]\(?[fF]\("),
    ("operator and a query", r"[o,(O]\(*S"),
    ("value, operator, value", rf"{ATOM}[oO]+{ATOM}"),
    ("values in a row that no operator joins", r"[1w][nm][1w]|[nm]1[nm]|1[nmN]|[nm]1\z"),
    ("stretch of words", r"N"),
    ("two stretches of words", r"N.{0,12}N"),
    ("words at the beginning", r"^[mN]"),
    ("comparison with a negation", r"L.{0,3}L[L(o]*O|OL?B"),
    ("comparison of names or variables with values", r"[nbv][O]+[1svBq]"),
    ("comparison at the beginning and a logical word", r"^[1nm]O[1nm]L"),
    ("bracket closed and a clause", r"^.{0,3}\)[KLU;]"),
    ("call of any function", r"F\("),
    ("signs that SQL has not", r"[xz{}]"),
    ("words beside a logical word", r"[mN][LOKkUC]|[LOKkUC][mN]"),
    ("quotes that stay open", r"q"),
)
"""Marks for letters of tokens as the text stands."""
QUOTED: tuple[tuple[str, str], ...] = (
    ("text closed, logical word, value", r"^.s\)?[L][L(o]*[1svBqfFSnwb]"),
    ("text closed, logical word, comparison", r"^.s\)?[L][L(o]*[1svBqnwb]O"),
    ("text closed, logical word, words", r"^.s\)?L[nmN]{1,2}(?:[nmN1kKL]|\z)"),
    ("text closed and compared", r"^.s\)?O"),
    ("text closed and an operator", r"^.s\)?o+[1svBq(fF]"),
    ("text closed and an operator with a name", r"^.s\)?o+[nmN]"),
    ("text closed and a query united", r"^.s\)?;?U"),
    ("text closed and a statement", r"^.s\)?;[(]?[DSdCFf]"),
    ("text closed and a semicolon at the end", r"^.s\)?;\z"),
    ("text closed and a comment", r"^.s\)?;?(?:c|h)(?:\$|r)"),
    ("text closed and a clause", r"^.s\)?[Kk]"),
    ("text closed and a bracket", r"^.s\)"),
    ("text closed at the end", r"^.s\z"),
    ("text closed and a word", r"^.s[nmNzwF]"),
    ("text closed and a number", r"^.s1"),
    ("text closed and a comma", r"^.s,"),
    ("text closed, comma and values", r"^.s,[(]?[1sSBfq]"),
    ("query in brackets", r"\(\(?S"),
    ("comparison of values", rf".s.*{ATOM}O{ATOM}"),
    ("quotes that stay open behind an operator", r"[OoL,(]q"),
    ("quote opens where a text may begin", r"^os"),
    ("closed text is empty", r"^0s"),
    ("closed text is a number", r"^1s"),
    ("closed text is a word", r"^ws"),
    ("closed text is several words", r"^Ws"),
)
"""Marks for letters of tokens behind the first quote; the first ``s`` is the text that it closes."""
ENCODING = (
    "escaped",
    "escaped twice",
    "escaped letters",
    "one escaped sign and nothing else",
    "NUL",
    "comment in a word",
    "overlong sign",
    "conditional comment",
    "capitals mixed",
    "escape of another language",
    "escaped line break",
)


@cache
def marks() -> tuple[Mark, ...]:
    """All marks, in the order of the columns of :func:`utils.detectors.payloads.evidence.measure`."""
    return (
        *(Mark(family, item.name, item.pattern) for family, items in signatures.FAMILIES.items() for item in items),
        *(Mark(family, *item) for family, items in WRITTEN.items() for item in items),
        *(Mark("sqli", name, pattern) for name, pattern in (*TOKENS, *QUOTED)),
        *(Mark("encoding", name, "") for name in ENCODING),
    )
