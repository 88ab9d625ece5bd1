"""What the notebooks and the service of the anomaly laboratory share."""

__version__ = "0.1.0"
