// The little of MQTT 3.1.1 it takes to be a device: connect, publish at QoS 1, stay online.

import { once } from 'node:events';
import { connect } from 'node:net';

const text = (value) => {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

function packet(type, ...parts) {
  const body = Buffer.concat(parts);
  const length = [];
  let rest = body.length;
  do {
    length.push(rest > 127 ? (rest & 127) | 128 : rest);
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from([type, ...length]), body]);
}

const CONNACK = 0x20;
const PUBACK = 0x40;
const CLEAN_SESSION = 0x02;
const KEEP_ALIVE_S = 60;

export class Device {
  /** Connects; the device is online until `close`. */
  static async connect(port, client) {
    const device = new Device();
    device.socket = connect(port, '127.0.0.1');
    device.received = Buffer.alloc(0);
    device.socket.on('data', (data) => (device.received = Buffer.concat([device.received, data])));
    await once(device.socket, 'connect');
    // The server closes the connection when the same device connects again; that is no failure.
    device.socket.on('error', () => device.socket.destroy());
    device.socket.write(packet(0x10, text('MQTT'), Buffer.from([4, CLEAN_SESSION, 0, KEEP_ALIVE_S]), text(client)));
    await device.answer(CONNACK);
    device.pings = setInterval(() => device.socket.write(packet(0xc0)), (KEEP_ALIVE_S * 1000) / 3);
    return device;
  }

  /** Publishes one message; resolves when it is acknowledged, and so stored. */
  async publish(topic, payload) {
    this.id = ((this.id ?? 0) % 255) + 1;
    this.socket.write(packet(0x32, text(topic), Buffer.from([0, this.id]), Buffer.from(payload)));
    await this.answer(PUBACK);
  }

  /** Waits for one packet of four bytes; answers to pings (two bytes) in between are passed over. */
  async answer(type) {
    for (;;) {
      if (this.received[0] === 0xd0 && this.received.length >= 2) this.received = this.received.subarray(2);
      else if (this.received.length >= 4) break;
      else await once(this.socket, 'data');
    }
    if (this.received[0] !== type) throw new Error(`expected packet ${type}, got ${this.received[0]}`);
    this.received = this.received.subarray(4);
  }

  async close() {
    clearInterval(this.pings);
    this.socket.end(packet(0xe0));
    if (!this.socket.destroyed) await once(this.socket, 'close');
  }
}
