import json
import sys

import confluent_kafka as ck

group = {"group.id": "pager", "auto.offset.reset": "earliest", "enable.auto.commit": False}
consumer = ck.Consumer({"bootstrap.servers": sys.argv[1], **group})
consumer.subscribe(["driftline.alerts"])
while True:
    message = consumer.poll(1.0)
    if message is not None and message.error() is None:
        alert = json.loads(message.value())
        print(alert["severity"], alert["state"], alert["summary"], flush=True)
        consumer.commit(message=message, asynchronous=False)
