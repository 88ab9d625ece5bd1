"""A champion of the user's own table: registered while the service runs, and served without a line of code."""

from dataclasses import replace

import polars as pl

from tests.service import small
from tests.unit import small_data
from tests.waiting import eventually
from utils import tracking
from utils.serving import client
from utils.tracking import champions
from utils.tracking.champions import Evidence


def test_a_model_that_is_registered_now_is_served_soon(service, in_reference):
    assert service.predict("mine", {"rows": []}).status == 404
    model = small.champion(without=["lasted"])
    rows, truth = small.table(seed=3)
    rows = rows.drop("lasted")
    data = replace(small_data.table(), name="mine")
    with tracking.start("mine", "champion", notebook="07_tuning", stage="champion", dataset=data) as run:
        assert champions.challenge(run, "mine", model, rows, truth, Evidence(), resamples=50).champion
    eventually(lambda: "mine" in service.get("/health").value["models"], seconds=30)
    answered = client.replay(service, "mine", rows.to_dicts(), explain="all")
    decided = model.decide(rows, explained="all")
    assert client.disagreements(answered, decided).is_empty()
    assert answered["reasons"].to_list() == decided["reasons"].to_list()
    described = service.get("/models/mine").value
    assert (described["version"], described["data"]["name"], described["compiled"]) == (1, "mine", True)
    one = service.get("/openapi.json").value["paths"]["/mine/predict"]["post"]["requestBody"]
    columns = one["content"]["application/json"]["schema"]["properties"]["rows"]
    assert set(model.input_types_) <= set(str(columns).replace("'", " ").split()) | {"packets sent"}
    assert service.get("/mine/drift").status in (200, 404)
    without = rows.with_columns(pl.lit(None).alias("kind")).to_dicts()[:1]
    refused = service.predict("mine", {"rows": without}).value["error"]
    assert refused["field"] == "rows[0].kind"
