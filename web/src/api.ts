// The HTTP API of the server that sent this page. Addresses are relative to it, so that any prefix is kept.

export type Labels = Record<string, string>;
/** Seconds since the epoch, and the value as text. */
export type Point = [number, string];
export interface Histogram {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}
export interface Series {
  metric: Labels;
  value?: Point;
  values?: Point[];
  histogram?: [number, Histogram];
  histograms?: [number, Histogram][];
}
export type QueryData =
  | { resultType: 'vector'; result: Series[] }
  | { resultType: 'matrix'; result: Series[] }
  | { resultType: 'scalar'; result: Point }
  | { resultType: 'string'; result: Point };

/** A successful answer, and what the server has to say about it. */
export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

/** What the server, or the way to it, refused. */
export class ApiError extends Error {
  readonly kind: string;
  constructor(kind: string, message: string) {
    super(message);
    this.kind = kind;
  }
}

type Params = Record<string, string | undefined>;

/** Queries may be longer than an address may be: they are sent as forms. */
export async function post<T>(path: string, params: Params, signal?: AbortSignal): Promise<Answer<T>> {
  return call<T>(path, { method: 'POST', body: encode(params), signal: signal ?? null });
}

export async function get<T>(path: string, params: Params = {}, signal?: AbortSignal): Promise<Answer<T>> {
  const query = encode(params).toString();
  return call<T>(query === '' ? path : `${path}?${query}`, { signal: signal ?? null });
}

function encode(params: Params): URLSearchParams {
  const encoded = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) if (value !== undefined) encoded.append(name, value);
  return encoded;
}

interface Envelope<T> {
  status: string;
  data?: T;
  errorType?: string;
  error?: string;
  warnings?: string[];
  infos?: string[];
}

async function call<T>(path: string, init: RequestInit): Promise<Answer<T>> {
  let response: Response;
  try {
    response = await fetch(`api/v1/${path}`, init);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    throw new ApiError('unreachable', 'The server cannot be reached. It may be restarting; run the query again.');
  }
  // Go's way to say that there is nothing: a list that is null.
  if (response.status === 204) return { data: null as T, warnings: [], infos: [] };
  const envelope = (await response.json().catch(() => null)) as Envelope<T> | null;
  if (envelope?.status === 'success' && envelope.data !== undefined) {
    return { data: envelope.data, warnings: envelope.warnings ?? [], infos: envelope.infos ?? [] };
  }
  if (envelope?.error) throw new ApiError(envelope.errorType ?? 'error', envelope.error);
  const status = `${response.status} ${response.statusText}`.trim();
  throw new ApiError('http', `The server answered ${status} without saying why.`);
}

/** Whether an error only says that nobody waits for the answer any more. */
export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}

/** Which parts of the API this server has, as it wrote them into the page. */
export function serves(part: 'query' | 'metadata' | 'stores' | 'blocks' | 'plan'): boolean {
  return (document.documentElement.dataset.serves ?? '').split(' ').includes(part);
}
