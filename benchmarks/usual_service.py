"""The usual way to serve a model, to compare with: FastAPI, a pandas frame a request, the stored pipeline.

``python -m benchmarks.usual_service MODEL`` listens on a free port of this machine and says which.
"""

import sys
from typing import Any

import pandas as pd  # type: ignore[import-untyped]
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from utils.tracking import models


class Body(BaseModel):
    """Rows to decide on."""

    rows: list[dict[str, Any]]


def create(name: str) -> FastAPI:
    """Make the application of one champion of the registry."""
    model: Any = models.load_model(name)
    app = FastAPI()

    @app.post("/predict")
    def predict(body: Body) -> dict[str, Any]:
        frame = pd.DataFrame(body.rows)
        scores = model.score_samples(frame)
        decisions = model.threshold_.predict(scores)
        return {
            "decisions": [
                {"decision": bool(one), "score": float(score)} for one, score in zip(decisions, scores, strict=True)
            ]
        }

    return app


if __name__ == "__main__":
    config = uvicorn.Config(create(sys.argv[1]), host="127.0.0.1", port=0, access_log=False, log_level="warning")
    listening = config.bind_socket()
    listening.listen(2048)
    print(f"Serving at http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run(sockets=[listening])
