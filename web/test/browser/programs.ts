// The programs whose API the page is tested with: Prometheus, or Rutile's store gateway and querier.

import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Api {
  port: number;
  stop: () => Promise<void>;
}

/** A Prometheus with the blocks of `folder/data`. */
export async function startPrometheus(folder: string): Promise<Api> {
  const port = await freePort();
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, '{}');
  const program = await start('prometheus', port, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]);
  return { port, stop: () => end([program]) };
}

/** A querier over a store gateway whose bucket is `folder/data`; `programs` is where both lie. */
export async function startRutile(folder: string, programs: string): Promise<Api> {
  const bucket = join(folder, 'data');
  makeBucket(bucket);
  const [storeHttp, storeGrpc, http, grpc] = [await freePort(), await freePort(), await freePort(), await freePort()];
  const at = (port: number) => `127.0.0.1:${port}`;
  const store = await start(join(programs, 'rutile-store'), storeHttp, [
    `--objstore.config={type: FILESYSTEM, config: {directory: ${bucket}}}`,
    `--data-dir=${join(folder, 'store')}`,
    `--http-address=${at(storeHttp)}`,
    `--grpc-address=${at(storeGrpc)}`,
  ]);
  const querier = await start(join(programs, 'rutile-query'), http, [
    `--endpoint=${at(storeGrpc)}`,
    `--http-address=${at(http)}`,
    `--grpc-address=${at(grpc)}`,
  ]);
  return { port: http, stop: () => end([querier, store]) };
}

/** What Prometheus wrote lacks the external labels that a block of a bucket has. */
function makeBucket(bucket: string) {
  for (const entry of readdirSync(bucket, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.length !== 26) continue;
    const path = join(bucket, entry.name, 'meta.json');
    const meta = JSON.parse(readFileSync(path, 'utf8'));
    const thanos = { version: 1, labels: { cluster: 'demo' }, downsample: { resolution: 0 }, source: 'test' };
    writeFileSync(path, JSON.stringify({ ...meta, thanos }));
  }
}

/** Starts a program and waits until it says that it is ready, or ends; it has a minute for either. */
async function start(program: string, port: number, args: string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let log = '';
  child.stderr!.on('data', (bytes) => (log = (log + bytes).slice(-4000)));
  for (const begin = Date.now(); Date.now() - begin < 60_000; await new Promise((wake) => setTimeout(wake, 100))) {
    if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}: ${log}`);
    const answer = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null);
    if (answer?.ok) return child;
  }
  await end([child]);
  throw new Error(`${program} does not get ready: ${log}`);
}

async function end(programs: ChildProcess[]) {
  for (const program of programs) {
    const ended = new Promise((done) => program.once('exit', done));
    if (program.exitCode === null && program.kill()) await ended;
  }
}

export async function listen(server: Server): Promise<AddressInfo> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server.address() as AddressInfo;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { port } = await listen(server);
  await new Promise((done) => server.close(done));
  return port;
}
