"""A device written with the paho-mqtt client: publishes one reading a quality of service."""

import json
import sys

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

ANSWER_WITHIN_S = 30


def main(host, port, version, device, start_ms):
    protocol = {"311": mqtt.MQTTv311, "5": mqtt.MQTTv5}[version]
    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=protocol)
    client.connect(host, int(port), keepalive=30)
    client.loop_start()
    for qos in (0, 1, 2):
        payload = json.dumps({"ts": int(start_ms) + qos, "value": qos})
        sent = client.publish(f"telemetry/{device}", payload, qos=qos)
        sent.wait_for_publish(ANSWER_WITHIN_S)
        if not sent.is_published():
            sys.exit(f"qos {qos} was not acknowledged")
    client.disconnect()
    client.loop_stop()


main(*sys.argv[1:])
