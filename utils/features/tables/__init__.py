"""Processed tables."""
