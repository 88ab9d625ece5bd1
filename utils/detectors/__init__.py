"""Detectors behind one contract: ``score_samples`` rises with abnormality, the threshold is fitted apart."""
