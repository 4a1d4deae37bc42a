// What the browser tests talk to: a real Prometheus with made-up samples of the last hours, and before it a small server
// that sends the built page and answers, from memory, what a Prometheus does not have: stores, blocks and the plan.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { blocks, plan, stores } from './canned';

const DIST = new URL('../../../crates/ui/dist/', import.meta.url).pathname;
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
/** The policy that the program sends, so that what it forbids fails here too: see `crates/ui`. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

export interface Running {
  url: string;
  stop: () => Promise<void>;
}

/** The page and all that it needs, on free ports. */
export async function start(): Promise<Running> {
  const folder = mkdtempSync(join(tmpdir(), 'rutile-web-'));
  backfill(folder);
  const port = await freePort();
  const prometheus = spawnPrometheus(folder, port);
  const stopped = new Promise((done) => prometheus.once('exit', done));
  await ready(port, prometheus);
  const server = createServer((question, answer) => respond(port, question, answer));
  const address = await listen(server);
  return {
    url: `http://127.0.0.1:${address.port}/`,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      prometheus.kill();
      await stopped;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Two hours of samples each 15 s, until now. */
function backfill(folder: string) {
  const until = Math.floor(Date.now() / 15_000) * 15;
  const times = Array.from({ length: 2 * 240 }, (_, n) => until - (480 - n) * 15);
  const lines: string[] = ['# HELP demo_requests Requests served.', '# TYPE demo_requests counter'];
  ['api', 'web'].forEach((job, j) =>
    ['get', 'post', 'put'].forEach((method, m) =>
      ['200', '404', '500'].forEach((code, c) => {
        let total = 0;
        times.forEach((time, n) => {
          const wave = 1 + Math.sin(n / 40 + j + m) + 0.3 * Math.sin(n / 7 + c);
          total += Math.max(0, Math.round((wave * 40) / (m + 1) / (c * c * 4 + 1)));
          lines.push(
            `demo_requests_total{job="${job}",instance="${job}-${m}:8080",method="${method}",code="${code}"} ${total} ${time}`,
          );
        });
      }),
    ),
  );
  lines.push('# HELP demo_memory_bytes Memory in use.', '# TYPE demo_memory_bytes gauge');
  ['api', 'web'].forEach((job, j) =>
    times.forEach((time, n) => {
      const bytes = Math.round(6e8 + j * 3e8 + 1e8 * Math.sin(n / 60 + j) + (n % 120) * 1e6);
      // A gap, as restarts make them.
      if (n < 300 || n > 340 || j === 0) lines.push(`demo_memory_bytes{job="${job}",replica="a"} ${bytes} ${time}`);
    }),
  );
  lines.push('# EOF', '');
  const file = join(folder, 'samples.txt');
  writeFileSync(file, lines.join('\n'));
  const made = spawnSync('promtool', ['tsdb', 'create-blocks-from', 'openmetrics', file, join(folder, 'data')]);
  if (made.status !== 0) throw new Error(`promtool makes no blocks; is it installed? ${made.stderr ?? made.error}`);
}

function spawnPrometheus(folder: string, port: number): ChildProcess {
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, '{}');
  const args = [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  return spawn('prometheus', args, { stdio: 'ignore' });
}

/** The program ends with an error or gets ready; it has a minute for either. */
async function ready(port: number, program: ChildProcess) {
  for (const begin = Date.now(); Date.now() - begin < 60_000; await new Promise((wake) => setTimeout(wake, 100))) {
    if (program.exitCode !== null) throw new Error(`prometheus ended with ${program.exitCode}`);
    const answer = await fetch(`http://127.0.0.1:${port}/-/ready`).catch(() => null);
    if (answer?.ok) return;
  }
  throw new Error('prometheus does not get ready');
}

async function listen(server: Server): Promise<AddressInfo> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return server.address() as AddressInfo;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const { port } = await listen(server);
  await new Promise((done) => server.close(done));
  return port;
}

function respond(port: number, question: IncomingMessage, answer: ServerResponse) {
  const { pathname } = new URL(question.url ?? '/', 'http://page');
  const canned = { '/api/v1/stores': stores, '/api/v1/blocks': blocks, '/api/v1/blocks/plan': plan }[pathname];
  if (canned) {
    answer.setHeader('content-type', 'application/json');
    answer.end(JSON.stringify({ status: 'success', data: canned() }));
  } else if (pathname.startsWith('/api/')) forward(port, question, answer);
  else page(pathname, answer);
}

function forward(port: number, question: IncomingMessage, answer: ServerResponse) {
  const { method, headers, url } = question;
  const onward = request({ host: '127.0.0.1', port, method, headers, path: url }, (reply) => {
    answer.writeHead(reply.statusCode ?? 502, reply.headers);
    reply.pipe(answer);
  });
  onward.on('error', () => answer.destroy());
  question.pipe(onward);
}

function page(path: string, answer: ServerResponse) {
  const name = ['/', '/stores', '/blocks'].includes(path) ? 'index.html' : path.slice(1);
  try {
    const bytes = readFileSync(join(DIST, name));
    answer.setHeader('content-type', TYPES[extname(name)] ?? 'application/octet-stream');
    answer.setHeader('content-security-policy', POLICY);
    const all = 'data-serves="query stores blocks plan"';
    answer.end(name === 'index.html' ? bytes.toString().replace(/data-serves="[^"]*"/, all) : bytes);
  } catch {
    answer.writeHead(404).end();
  }
}
