"""Score rows one by one with ONNX Runtime; run by the Python that has it, see ``benchmarks.peers``.

``python onnx_forest.py FOREST ROWS CHANCES`` converts a stored forest of scikit-learn, writes the probability of the
second class of each row of numpy, and prints JSON: CPU seconds for all rows one by one, and for all in one call.
"""

import json
import sys
import time
from importlib import import_module


def main(forest: str, rows: str, chances: str) -> None:
    """Convert, score and print the times."""
    np, skl2onnx, runtime = (import_module(name) for name in ("numpy", "skl2onnx", "onnxruntime"))
    model = import_module("joblib").load(forest)
    matrix = np.load(rows).astype(np.float32)
    form = skl2onnx.to_onnx(model, matrix[:1], options={"zipmap": False})
    one_thread = runtime.SessionOptions()
    one_thread.intra_op_num_threads = one_thread.inter_op_num_threads = 1
    session = runtime.InferenceSession(form.SerializeToString(), one_thread, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    singles = [matrix[row : row + 1] for row in range(len(matrix))]
    session.run(None, {name: singles[0]})
    begin = time.process_time()
    found = [session.run(None, {name: one})[1] for one in singles]
    between = time.process_time()
    session.run(None, {name: matrix})
    end = time.process_time()
    np.save(chances, np.concatenate(found)[:, 1])
    print(json.dumps({"one by one": between - begin, "many": end - between}))


if __name__ == "__main__":
    main(*sys.argv[1:])
