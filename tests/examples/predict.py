import json
import sys
import time

import confluent_kafka as ck

producer = ck.Producer({"bootstrap.servers": sys.argv[1]})
now_ms = int(time.time() * 1000)
common = {"prediction_id": "a-1", "model": "claims", "time": now_ms}
answer = {"version": "7", "features": {"age": 41.0, "region": "north"}, "prediction": "high"}
producer.produce("driftline.predictions", json.dumps(common | answer))
producer.produce("driftline.ground-truth", json.dumps(common | {"label": "high"}))
producer.flush()
