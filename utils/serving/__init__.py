"""The champions of the registry as a service over HTTP: raw events in, decisions with reasons out.

``python -m utils.serving`` starts it on this machine only; what answers is the registered model itself, read by the
functions that the notebooks use. The parts:

- :mod:`~utils.serving.app`: the application and its routes.
- :mod:`~utils.serving.registry`: loads the holders of the alias and swaps each as a whole when the alias moves.
- :mod:`~utils.serving.requests`: which bodies a model takes, checked before anything is computed.
- :mod:`~utils.serving.decisions`: the one function that decides.
- :mod:`~utils.serving.answers`: what is said, errors included.
- :mod:`~utils.serving.limits`: size, time, keys; no request escapes them.
- :mod:`~utils.serving.observing`: metrics for Prometheus and one line of log a request, without payloads.
- :mod:`~utils.serving.client`: the service as a process with a client, for tests and notebooks.
"""
