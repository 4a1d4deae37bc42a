// What the browser tests talk to: a small server that sends the built page, answers from memory what a Prometheus does not
// have (stores, blocks and the plan), and hands everything else to a program with made-up samples.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { blocks, plan, stores } from './canned';
import { listen, startPrometheus, startRutile } from './programs';
import { backfill } from './samples';

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
  /** The page of the querier itself, where it has one; else the same as `canned`. */
  url: string;
  /** The page with stores, blocks and a plan from memory. Null where a server was given that has only its own. */
  canned: string | null;
  stop: () => Promise<void>;
}

/**
 * The page and all that it needs. RUTILE_PROGRAMS names the folder of a querier and a store gateway to take instead of
 * Prometheus; WEB_TEST_URL a server that runs already and holds the same samples.
 */
export async function start(): Promise<Running> {
  const given = process.env.WEB_TEST_URL;
  if (given) return { url: given, canned: null, stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), 'rutile-web-'));
  backfill(folder);
  const programs = process.env.RUTILE_PROGRAMS;
  const api = programs ? await startRutile(folder, programs) : await startPrometheus(folder);
  const server = createServer((question, answer) => respond(api.port, question, answer));
  const address = await listen(server);
  const canned = `http://127.0.0.1:${address.port}/`;
  const own = `http://127.0.0.1:${api.port}/`;
  return {
    url: (await hasPage(own)) ? own : canned,
    canned,
    stop: async () => {
      server.close();
      server.closeAllConnections();
      await api.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

async function hasPage(url: string): Promise<boolean> {
  const text = await fetch(url).then((answer) => answer.text());
  return text.includes('data-serves=');
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
    const parts = process.env.RUTILE_PROGRAMS ? 'query stores blocks plan' : 'query metadata stores blocks plan';
    const all = `data-serves="${parts}"`;
    answer.end(name === 'index.html' ? bytes.toString().replace(/data-serves="[^"]*"/, all) : bytes);
  } catch {
    answer.writeHead(404).end();
  }
}
