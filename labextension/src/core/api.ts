/** A typed client of the server half. */

import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type {
  BulkAction,
  IBulkResult,
  IChecked,
  IDryRun,
  IFolder,
  IHistoryEntry,
  IInspection,
  IJob,
  IJobChange,
  IJobPage,
  IKernelState,
  IPlatform,
  IProblem,
  IResources,
  ISessionTime,
  IStatus,
  ISubmission,
  ISweepPoint,
  Point
} from './types';

const ROOT = 'aiinfn-lab';

/** Where an error comes from, which decides what a person can do about it. */
export type ErrorKind =
  /** The server half or vkd said so in a sentence. */
  | 'problem'
  /** There is no server half behind this front end. */
  | 'server-missing'
  /** The Jupyter server does not answer. */
  | 'unreachable';

/** An answer that is not what was asked for. */
export class ApiError extends Error {
  constructor(
    readonly kind: ErrorKind,
    readonly problem: IProblem,
    readonly status = 0
  ) {
    super(problem.message);
    this.name = 'ApiError';
  }
}

/** The part of a log that a request gives, as a stream of bytes. */
export interface ILogStream {
  attempt: number;
  /** Position of the first byte in the attempt's log. */
  offset: number;
  reader: ReadableStreamDefaultReader<Uint8Array>;
}

/** A search, as the server half takes it. */
export interface ISearch {
  /** Words that must all be in name, path, labels, id or error. */
  search?: string;
  label?: string;
  owner?: string;
  project?: string;
}

type Query = { [key: string]: string | number | undefined };

/** Requests to the server half, with the session's own credentials. */
export class Api {
  /**
   * @param _language - In which the person is answered (BCP 47); the browser's own if it is left out.
   */
  constructor(
    readonly settings: ServerConnection.ISettings,
    private readonly _language?: string
  ) {}

  status(): Promise<IStatus> {
    return this._json<IStatus>('status');
  }

  platform(): Promise<IPlatform> {
    return this._json<IPlatform>('platform');
  }

  sessionTime(): Promise<ISessionTime> {
    return this._json<ISessionTime>('session-time');
  }

  extendSession(): Promise<ISessionTime> {
    return this._json<ISessionTime>('session-time', { init: { method: 'POST' } });
  }

  inspect(path: string): Promise<IInspection> {
    return this._json<IInspection>('inspect', { query: { path } });
  }

  folder(path: string): Promise<IFolder> {
    return this._json<IFolder>('folder', { query: { path } });
  }

  /**
   * List jobs, newest first.
   *
   * @returns The page, or null when the list is still that of the ETag.
   */
  async jobs(
    query: {
      since_revision?: number;
      cursor?: string;
      limit?: number;
      states?: readonly string[];
    } & ISearch,
    etag?: string
  ): Promise<{ page: IJobPage; etag: string | null } | null> {
    const { states, ...rest } = query;
    const response = await this._request('jobs', {
      query: rest,
      repeated: { state: states ?? [] },
      init: etag ? { headers: { 'If-None-Match': etag } } : {}
    });
    if (response.status === 304) {
      return null;
    }
    return { page: await decode<IJobPage>(response), etag: response.headers.get('ETag') };
  }

  job(id: string): Promise<IJob> {
    return this._json<IJob>(`jobs/${encodeURIComponent(id)}`);
  }

  events(id: string): Promise<IHistoryEntry[]> {
    return this._json<IHistoryEntry[]>(`jobs/${encodeURIComponent(id)}/events`);
  }

  submit(body: ISubmission, key: string): Promise<IJob> {
    return this._json<IJob>('jobs', {
      init: { method: 'POST', body: JSON.stringify(body), headers: { 'Idempotency-Key': key } }
    });
  }

  /** Ask what would happen, without submitting. */
  dryRun(body: ISubmission, signal: AbortSignal): Promise<IDryRun> {
    return this._json<IDryRun>('jobs', {
      query: { dry_run: 1 },
      init: { method: 'POST', body: JSON.stringify(body), signal }
    });
  }

  /** What of a running kernel's variables can go with a job. */
  kernelState(body: { path: string; kernel: string; cell: number }): Promise<IKernelState> {
    const init = { method: 'POST', body: JSON.stringify(body) };
    return this._json<IKernelState>('kernel-state', { init });
  }

  /** The dry run, and what the server half finds in the file itself, which takes longer. */
  check(body: ISubmission, signal: AbortSignal): Promise<IChecked> {
    return this._json<IChecked>('check', {
      init: { method: 'POST', body: JSON.stringify(body), signal }
    });
  }

  /** Make the points of a sweep out of what was typed. */
  async makePoints(
    body: { path: string; grid?: { [name: string]: string }; table?: string },
    signal: AbortSignal
  ): Promise<Point[]> {
    const init = { method: 'POST', body: JSON.stringify(body), signal };
    return (await this._json<{ points: Point[] }>('sweep', { init })).points;
  }

  /** The table of a sweep. */
  async points(id: string): Promise<ISweepPoint[]> {
    const path = `jobs/${encodeURIComponent(id)}/points`;
    return (await this._json<{ points: ISweepPoint[] }>(path)).points;
  }

  /** The table of a sweep as CSV. */
  async pointsAsCsv(id: string): Promise<string> {
    const path = `jobs/${encodeURIComponent(id)}/points`;
    return (await this._request(path, { query: { format: 'csv' } })).text();
  }

  cancel(id: string): Promise<IJob> {
    return this._json<IJob>(`jobs/${encodeURIComponent(id)}/cancel`, { init: { method: 'POST' } });
  }

  /** Change name, labels or pin of a job. */
  edit(id: string, change: IJobChange): Promise<IJob> {
    return this._json<IJob>(`jobs/${encodeURIComponent(id)}`, {
      init: { method: 'PATCH', body: JSON.stringify(change) }
    });
  }

  /** Do the same with many jobs. */
  async bulk(
    action: BulkAction,
    ids: readonly string[],
    key: string,
    labels: { add_labels?: string[]; remove_labels?: string[] } = {}
  ): Promise<IBulkResult[]> {
    const body = JSON.stringify({ action, ids, ...labels });
    const init = { method: 'POST', body, headers: { 'Idempotency-Key': key } };
    return (await this._json<{ results: IBulkResult[] }>('jobs/bulk', { init })).results;
  }

  /** Run a job again; of a sweep all its points, those that did not succeed, or some by their numbers. */
  rerun(id: string, key: string, points?: string): Promise<IJob> {
    return this._json<IJob>(`jobs/${encodeURIComponent(id)}/rerun`, {
      query: { points },
      init: { method: 'POST', headers: { 'Idempotency-Key': key } }
    });
  }

  /** Follow the log of an attempt from an offset; the stream ends with the attempt. */
  async follow(
    id: string,
    attempt: number,
    offset: number,
    signal: AbortSignal
  ): Promise<ILogStream> {
    const response = await this._request(`jobs/${encodeURIComponent(id)}/logs`, {
      query: { attempt, offset, follow: 1 },
      init: { signal }
    });
    if (!response.body) {
      throw new ApiError('unreachable', nothing(), response.status);
    }
    return {
      attempt: Number(response.headers.get('X-Log-Attempt') ?? attempt),
      offset: Number(response.headers.get('X-Log-Offset') ?? Math.max(offset, 0)),
      reader: response.body.getReader()
    };
  }

  /** Read a part of an attempt's log. */
  async logPart(
    id: string,
    attempt: number,
    offset: number,
    limit: number,
    signal: AbortSignal
  ): Promise<{ offset: number; bytes: Uint8Array }> {
    const response = await this._request(`jobs/${encodeURIComponent(id)}/logs`, {
      query: { attempt, offset, limit },
      init: { signal }
    });
    return {
      offset: Number(response.headers.get('X-Log-Offset') ?? offset),
      bytes: new Uint8Array(await response.arrayBuffer())
    };
  }

  /** The address from which the browser itself fetches the whole log of an attempt as a file. */
  logAddress(id: string, attempt: number): string {
    const { baseUrl, token, appendToken } = this.settings;
    const query = new URLSearchParams({ attempt: String(attempt), download: '1' });
    if (appendToken && token) {
      // As for the downloads of JupyterLab's file browser: a link cannot send a header.
      query.set('token', token);
    }
    return `${URLExt.join(baseUrl, ROOT, 'jobs', encodeURIComponent(id), 'logs')}?${query}`;
  }

  /** What an attempt used of what it was granted. */
  resources(id: string, attempt: number): Promise<IResources> {
    const path = `jobs/${encodeURIComponent(id)}/resources`;
    return this._json<IResources>(path, { query: { attempt } });
  }

  private async _json<T>(path: string, options: IRequestOptions = {}): Promise<T> {
    return decode<T>(await this._request(path, options));
  }

  private async _request(path: string, options: IRequestOptions): Promise<Response> {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(options.query ?? {})) {
      if (value !== undefined) {
        search.append(key, String(value));
      }
    }
    for (const [key, values] of Object.entries(options.repeated ?? {})) {
      values.forEach(value => search.append(key, value));
    }
    const query = search.toString();
    const url = URLExt.join(this.settings.baseUrl, ROOT, path) + (query ? `?${query}` : '');
    let response: Response;
    try {
      const { headers, ...init } = options.init ?? {};
      const all = new Headers(headers);
      if (this._language) {
        all.set('Accept-Language', this._language);
      }
      // Times of day that stand in sentences are the reader's (RFC 7240).
      all.set('Prefer', `timezone=${Intl.DateTimeFormat().resolvedOptions().timeZone}`);
      response = await ServerConnection.makeRequest(url, { ...init, headers: all }, this.settings);
    } catch (error) {
      if (options.init?.signal?.aborted) {
        throw error;
      }
      throw new ApiError('unreachable', nothing());
    }
    if (response.ok || response.status === 304) {
      return response;
    }
    throw await refusal(response);
  }
}

interface IRequestOptions {
  query?: Query;
  repeated?: { [key: string]: readonly string[] };
  init?: RequestInit;
}

async function decode<T>(response: Response): Promise<T> {
  try {
    return (await response.json()) as T;
  } catch {
    // A login page or a proxy's page in place of an answer.
    throw new ApiError('unreachable', nothing(), response.status);
  }
}

async function refusal(response: Response): Promise<ApiError> {
  let body: Partial<IProblem> = {};
  try {
    const decoded: unknown = await response.json();
    if (decoded && typeof decoded === 'object') {
      body = decoded as Partial<IProblem>;
    }
  } catch {
    // Not ours; the status says what there is to say.
  }
  if (typeof body.reason !== 'string' || typeof body.message !== 'string') {
    const kind = response.status === 404 ? 'server-missing' : 'unreachable';
    return new ApiError(kind, nothing(), response.status);
  }
  const problem = {
    reason: body.reason,
    message: body.message,
    hint: body.hint ?? '',
    field: body.field ?? null
  };
  return new ApiError('problem', problem, response.status);
}

/** The words for it depend on the language and are chosen where it is shown. */
function nothing(): IProblem {
  return { reason: 'unavailable', message: '', hint: '', field: null };
}
