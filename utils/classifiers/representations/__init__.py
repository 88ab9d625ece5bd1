"""Fewer features, chosen or learned: are they as good as all of them?

Four transformers make a narrower matrix of a matrix of numbers, each fitted on training rows alone:

| transformer | columns it gives |
|---|---|
| :class:`TopImportance` | the k that a random forest relies on most |
| :class:`RecursiveElimination` | the k that are left when the least important are left out again and again |
| :class:`PrincipalComponents` | the k directions of largest variance |
| :class:`AutoencoderCodes` | the k numbers that a network needs to copy a row |

:mod:`~utils.classifiers.representations.replay` repeats a published experiment with them,
:mod:`~utils.classifiers.representations.trials` judges them over repeated splits, and
:mod:`~utils.classifiers.representations.views` draws what they make of the rows.
"""

from utils.classifiers.representations.codes import AutoencoderCodes
from utils.classifiers.representations.components import PrincipalComponents
from utils.classifiers.representations.elimination import RecursiveElimination
from utils.classifiers.representations.importance import TopImportance, overlap

__all__ = ["AutoencoderCodes", "PrincipalComponents", "RecursiveElimination", "TopImportance", "overlap"]
