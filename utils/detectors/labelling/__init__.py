"""Labels for clusters from evidence: good, attack or unclassified, never from the size of a cluster.

- :class:`WebEvidence` finds the evidence of each web event: signatures, suspicious marks, tools, clients with a history
  of attacks, odd agents, error responses. What is not in the data is null and decides nothing.
- :class:`EvidenceLabeller` weighs the evidence of whole clusters, with intervals, and labels every event;
  :class:`ClusterLabels` is the result: one row a cluster with its shares, its label and the reason in words.
- :func:`label_scores` and :func:`escaped` compare labels with truth, where there is one.
- :class:`WebEventLabeller` does all of it for frames of web events: cluster, gather evidence, label, label new events.
"""

from utils.detectors.labelling.evidence import ABSENT, WebEvidence
from utils.detectors.labelling.labeller import EvidenceLabeller, Seeds
from utils.detectors.labelling.labels import ATTACK, GOOD, UNCLASSIFIED, ClusterLabels, escaped, label_scores
from utils.detectors.labelling.web import WebEventLabeller

__all__ = [
    "ABSENT",
    "ATTACK",
    "GOOD",
    "UNCLASSIFIED",
    "ClusterLabels",
    "EvidenceLabeller",
    "Seeds",
    "WebEventLabeller",
    "WebEvidence",
    "escaped",
    "label_scores",
]
