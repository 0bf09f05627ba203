"""A retraining system: reads requests, reads the records they name, fits, answers."""

import json
import sys
import time

import confluent_kafka as ck
import numpy as np

BROKERS, PREFIX = sys.argv[1:3]
producer = ck.Producer({"bootstrap.servers": BROKERS})


def client(group):
    own = {"group.id": group, "auto.offset.reset": "earliest", "enable.auto.commit": False}
    return ck.Consumer({"bootstrap.servers": BROKERS, **own})


def answer(request, kind, **more):
    """Tell Driftline how far it is; until "finished" or "rejected" it asks for nothing else."""
    event = {"type": f"retraining-{kind}", "request_id": request["id"], **more}
    event |= {"model": request["model"], "version": request["version"]}
    event["time"] = int(time.time() * 1000)
    producer.produce(f"{PREFIX}.control", json.dumps(event), key=request["model"])
    producer.flush()


def records(request):
    """Every record that a request names: first to last offset, both included."""
    reader = client("retraining-data")
    for span in request["data"]["offsets"]:
        reader.assign([ck.TopicPartition(span["topic"], span["partition"], span["first"])])
        offset = span["first"] - 1
        while offset < span["last"]:
            message = reader.poll(30.0)
            if message is None or message.error():
                raise RuntimeError(f"records of {span} are missing: {message and message.error()}")
            offset = message.offset()
            if offset <= span["last"]:
                yield span["topic"].removeprefix(f"{PREFIX}."), json.loads(message.value())
    reader.close()


def training_data(request):
    """Features and labels of the predictions whose truth is known; the highest revision counts."""
    features, labels = {}, {}
    for topic, event in records(request):
        if event["model"] != request["model"]:
            continue  # other models share the topics
        if topic == "ground-truth":
            revision = event.get("revision", 0)
            if revision >= labels.get(event["prediction_id"], (0, None))[0]:
                labels[event["prediction_id"]] = (revision, event["label"])
        elif event["version"] == request["version"]:
            features[event["prediction_id"]] = list(event["features"].values())
    known = sorted(features.keys() & labels.keys())
    return np.array([features[i] for i in known]), np.array([labels[i][1] for i in known])


def retrain(request):
    answer(request, "accepted")
    x, y = training_data(request)
    answer(request, "started")
    weights, *_ = np.linalg.lstsq(np.column_stack([x, np.ones(len(x))]), y, rcond=None)
    new_version = f"{request['version']}-{request['id'][:8]}"
    print(json.dumps({"rows": len(y), "weights": weights.tolist(), "new_version": new_version}))
    answer(request, "finished", new_version=new_version)


requests, done = client("retraining"), set()
requests.subscribe([f"{PREFIX}.retrain-requests"])
while True:
    message = requests.poll(1.0)
    if message is not None and message.error() is None:
        request = json.loads(message.value())
        if request["idempotency_key"] not in done:
            retrain(request)
            done.add(request["idempotency_key"])
        requests.commit(message=message, asynchronous=False)
