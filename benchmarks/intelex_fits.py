"""DBSCAN of scikit-learn-intelex; run by the Python that has it, see ``benchmarks.peers``.

``python intelex_fits.py ROWS LABELS EPS,... MIN_SAMPLES,...`` fits the rows of a file of numpy once for each setting,
by rising min_samples, then eps, writes the labels of each to another, and prints JSON: CPU seconds of all fits.
"""

import json
import sys
import time
from importlib import import_module


def main(rows: str, labels: str, eps: str, min_samples: str) -> None:
    """Fit, write labels and print the time."""
    np, dbscan = import_module("numpy"), import_module("sklearnex.cluster").DBSCAN
    points = np.load(rows)
    settings = [(float(radius), int(least)) for least in min_samples.split(",") for radius in eps.split(",")]
    dbscan(eps=settings[0][0], min_samples=settings[0][1]).fit(points[:100])
    begin = time.process_time()
    found = [dbscan(eps=radius, min_samples=least).fit(points).labels_ for radius, least in settings]
    seconds = time.process_time() - begin
    np.save(labels, np.stack(found))
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
