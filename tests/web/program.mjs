// The real program as a child process in an empty data folder, on free ports.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const BINARY = process.env.BELLWETHER_BIN ?? fileURLToPath(new URL('../../target/debug/bellwether', import.meta.url));
/** A debug build on a busy machine gets through everything here well inside this. */
export const PATIENCE_MS = 90_000;
const POLL_MS = 100;

/** A failure that waiting does not mend. */
class Hopeless extends Error {}

/** Waits until `check` gives something; its last failure tells why it never did. */
export async function until(what, check, patience = PATIENCE_MS) {
  const end = Date.now() + patience;
  let why = 'it never did';
  while (Date.now() < end) {
    try {
      const found = await check();
      if (found) return found;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      why = error.message;
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`waited ${patience / 1000} s until ${what}: ${why}`);
}

/** The environment without settings of the program, which it would take or refuse. */
function surroundings() {
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('BELLWETHER_')));
}

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}

/** Waits until a command has ended well; what it said is in the failure. */
async function finished(what, child) {
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (output += data));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`${what} ended with ${code}:\n${output}`);
}

export class Program {
  /**
   * `models` are asset models beside the built-in ones, by id; `recording` is imported before the start;
   * `config` is a configuration file.
   */
  static async start({ learningRows, models = {}, recording = null, config = '' }) {
    const folder = await mkdtemp(join(tmpdir(), 'bellwether-web-'));
    const [http, mqtt] = [await freePort(), await freePort()];
    const own = join(folder, 'models');
    await mkdir(own);
    for (const [id, text] of Object.entries(models)) await writeFile(join(own, `${id}.toml`), text);
    const file = join(folder, 'bellwether.toml');
    await writeFile(file, config);
    const env = {
      ...surroundings(),
      BELLWETHER_CONFIG: file,
      BELLWETHER_HTTP__BIND: `127.0.0.1:${http}`,
      BELLWETHER_INGEST__LISTENER__BIND: `127.0.0.1:${mqtt}`,
      BELLWETHER_DATA_DIR: join(folder, 'data'),
      BELLWETHER_MODELS__DIR: own,
      BELLWETHER_ANALYTICS__LEARNING_ROWS: String(learningRows),
    };
    if (recording !== null) {
      const csv = join(folder, 'recording.csv');
      await writeFile(csv, recording);
      await finished('import', spawn(BINARY, ['import', csv], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] }));
    }
    const child = spawn(BINARY, ['run'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const program = new Program();
    Object.assign(program, { folder, child, mqtt, url: `http://127.0.0.1:${http}`, output: '' });
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => (program.output = (program.output + data).slice(-20_000)));
    child.on('error', (error) => (program.output += error.message));
    try {
      await until('the program is ready', async () => {
        if (child.exitCode !== null || child.pid === undefined) throw new Hopeless('the program ended at once');
        return (await fetch(`${program.url}/readyz`)).ok;
      });
    } catch (error) {
      await program.stop();
      throw new Error(`${error.message}\n${program.output}`, { cause: error });
    }
    return program;
  }

  async get(path) {
    const response = await fetch(`${this.url}/api/v1${path}`);
    if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Sends something to the API: an object as JSON, everything else as it is. */
  async post(path, body) {
    const json = body.constructor === Object;
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method: 'POST',
      headers: json ? { 'content-type': 'application/json' } : {},
      body: json ? JSON.stringify(body) : body,
    });
    if (!response.ok) throw new Error(`POST ${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }

  /** Publishes a recording over MQTT; resolves when every row was acknowledged. */
  async replay(device, rows) {
    const file = join(this.folder, `${device}.csv`);
    const names = Object.keys(rows[0]);
    await writeFile(file, [names.join(';'), ...rows.map((row) => names.map((name) => row[name]).join(';'))].join('\n') + '\n');
    const child = spawn(BINARY, ['replay', file, '--device', device, '--speed', 'max', '--broker', `mqtt://127.0.0.1:${this.mqtt}`], {
      cwd: this.folder,
      env: surroundings(),
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    await finished(`replay of ${device}`, child);
  }

  /** Ends the program as an operator does; its exit code. */
  async stop() {
    let code = this.child.exitCode;
    if (code === null && this.child.pid !== undefined && this.child.kill('SIGTERM')) [code] = await once(this.child, 'exit');
    await rm(this.folder, { recursive: true, force: true });
    return code;
  }
}
