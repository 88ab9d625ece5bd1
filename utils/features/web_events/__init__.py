"""Web events (firewall rows, payloads, paths) as features: cleaning, traits, one transformer.

- :func:`wrangle` cleans damaged rows, :func:`damage` counts what was damaged.
- :func:`traits` describes each row by itself: lengths, characters, escapes, words of attack languages, agents.
- :class:`WebEventFeatures` is the scikit-learn transformer that pipelines carry: traits, n-grams, categories, history.
- :func:`decode` undoes URL, HTML and JavaScript escapes; :func:`canonical` lower-cases and unifies blanks.

All work on the frames of ``datasets.load("waf")``, on those of users' own ``events`` and on any frame whose columns an
:class:`EventColumns` names.
"""

from utils.features.web_events.addresses import Network, network_of
from utils.features.web_events.columns import EventColumns, columns_of
from utils.features.web_events.decoding import Decoded, canonical, decode
from utils.features.web_events.featuriser import WebEventFeatures, traits
from utils.features.web_events.lexical import NAMES as TRAITS
from utils.features.web_events.wrangling import damage, wrangle

__all__ = [
    "TRAITS",
    "Decoded",
    "EventColumns",
    "Network",
    "WebEventFeatures",
    "canonical",
    "columns_of",
    "damage",
    "decode",
    "network_of",
    "traits",
    "wrangle",
]
