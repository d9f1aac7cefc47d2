/** A server half in memory, behind the fetch of `ServerConnection`. */

import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';

import { Api } from '../core/api';
import type { IInspection, IJob, IPlatform } from '../core/types';

export const trans = nullTranslator.load('aiinfn');

export type Answer = {
  status?: number;
  body?: unknown;
  headers?: { [name: string]: string };
  /** A body that is no text. */
  bytes?: Uint8Array;
  /** Parts of a streamed body; an Error breaks the connection there. */
  parts?: (Uint8Array | Error)[];
};

export interface IRequest {
  method: string;
  path: string;
  query: URLSearchParams;
  headers: Headers;
  body: string;
}

/** Answers requests by a function, and remembers them. */
export class FakeServer {
  readonly requests: IRequest[] = [];

  constructor(public answer: (request: IRequest) => Answer | Promise<Answer>) {}

  get api(): Api {
    return new Api(
      ServerConnection.makeSettings({ baseUrl: 'http://here/user/ada/', fetch: this._fetch })
    );
  }

  /** Paths of the requests, with their queries as they were sent. */
  get log(): string[] {
    return this.requests.map(({ method, path, query }) => {
      const text = query.toString();
      return `${method} ${path}${text ? `?${text}` : ''}`;
    });
  }

  private readonly _fetch = async (input: RequestInfo): Promise<Response> => {
    const request = input as Request;
    const url = new URL(request.url);
    // ServerConnection adds the time so that nothing is cached.
    const query = new URLSearchParams(
      [...url.searchParams].filter(([key, value]) => !(value === '' && /^\d+$/.test(key)))
    );
    const seen: IRequest = {
      method: request.method,
      path: url.pathname.replace('/user/ada/aiinfn-lab/', ''),
      query,
      headers: request.headers,
      body: ['POST', 'PATCH'].includes(request.method) ? await request.text() : ''
    };
    this.requests.push(seen);
    const { status = 200, body, headers = {}, parts, bytes } = await this.answer(seen);
    const text = body === undefined ? '' : typeof body === 'string' ? body : JSON.stringify(body);
    const queue = [...(parts ?? [])];
    return {
      ok: status >= 200 && status < 300,
      status,
      headers: new Headers(headers),
      json: async () => JSON.parse(text),
      text: async () => text,
      arrayBuffer: async () => bytes?.slice().buffer,
      body: {
        getReader: () => ({
          read: async () => {
            const part = queue.shift();
            if (part instanceof Error) {
              throw part;
            }
            return part ? { done: false, value: part } : { done: true, value: undefined };
          }
        })
      }
    } as unknown as Response;
  };
}

export function makeJob(id: string, more: Partial<IJob> = {}): IJob {
  return {
    id,
    name: `${id}.ipynb`,
    owner: 'ada',
    project: 'ml',
    queue: 'idle',
    state: 'queued',
    cause: 'submitted',
    sentence: 'Waiting.',
    position: 1,
    accelerator: 't4',
    accelerator_title: 'NVIDIA T4',
    simulated: true,
    count: 1,
    image: 'standard',
    size: 'small',
    priority: 0,
    time_limit: 3600,
    work: {
      kind: 'notebook',
      path: `${id}.ipynb`,
      snapshot: 's',
      kernel: 'python3',
      parameters: {},
      arguments: []
    },
    output: `${id}.out.ipynb`,
    attempt: 0,
    preemptions: 0,
    progress: null,
    error: null,
    exit_code: null,
    created: '2026-11-23T10:00:00Z',
    started: null,
    ended: null,
    updated: '2026-11-23T10:00:00Z',
    rerun_of: null,
    sweep: null,
    sweep_of: null,
    point: null,
    values: {},
    labels: [],
    pinned: false,
    kept_until: null,
    actions: ['cancel'],
    ...more
  } as IJob;
}

const available = { total: 2, free: 1, sessions: 0, batch: 1, offline: 0, queued: 0 };

export const PLATFORM: IPlatform = {
  title: 'Platform',
  version: '0.1.0',
  user: 'ada',
  admin: false,
  accelerators: [
    {
      name: 't4',
      title: 'NVIDIA T4',
      description: '',
      kind: 'gpu',
      memory: '16Gi',
      max_per_job: 2,
      simulated: true,
      projects: ['ml'],
      images: ['standard'],
      availability: available
    },
    {
      name: 'v70',
      title: 'Alveo V70',
      description: '',
      kind: 'fpga',
      memory: null,
      max_per_job: 1,
      simulated: true,
      projects: ['ml'],
      images: ['fpga'],
      availability: available
    }
  ],
  images: [
    { name: 'standard', title: 'Standard', description: '' },
    { name: 'fpga', title: 'FPGA tools', description: '' }
  ],
  sizes: [
    { name: 'small', title: 'Small', description: '', cores: 1, memory: '2Gi' },
    { name: 'large', title: 'Large', description: '', cores: 8, memory: '32Gi' }
  ],
  projects: [
    {
      name: 'ml',
      title: 'ML',
      description: '',
      manager: false,
      sizes: ['small', 'large'],
      images: ['standard', 'fpga'],
      accelerators: ['t4', 'v70']
    },
    {
      name: 'astro',
      title: 'Astro',
      description: '',
      manager: false,
      sizes: ['small'],
      images: ['standard'],
      accelerators: []
    }
  ],
  queues: [
    {
      name: 'idle',
      title: 'Idle',
      description: '',
      projects: ['ml'],
      accelerators: ['none', 't4', 'v70'],
      max_time: 86400,
      queued: 0,
      running: 0
    },
    {
      name: 'short',
      title: 'Short',
      description: '',
      projects: ['ml', 'astro'],
      accelerators: ['none', 't4'],
      max_time: 600,
      queued: 0,
      running: 0
    }
  ],
  default_time_limit: 3600,
  poll_interval: 3,
  read_at: '2026-11-23T10:00:00Z',
  age: 0
};

export const STATUS = {
  version: '0.1.0',
  api_version: 'v1',
  vkd: 'ok',
  message: '',
  hint: '',
  root: '/home/ada',
  root_in_home: true,
  session: {
    project: 'ml',
    accelerator: 't4',
    count: 1,
    image: 'standard',
    size: 'large',
    end: null
  }
};

export const NOTEBOOK: IInspection = {
  path: 'train.ipynb',
  name: 'train.ipynb',
  kind: 'notebook',
  size: 100,
  modified: '2026-11-23T10:00:00Z',
  language: 'python',
  kernel: { name: 'python3', title: 'Python 3', available: true },
  cells: 3,
  code_cells: 2,
  parameters: [
    { name: 'epochs', type: 'int', default: 20, source: '20', help: '' },
    { name: 'rate', type: 'float', default: 0.01, source: '0.01', help: '' },
    { name: 'shuffle', type: 'bool', default: true, source: 'True', help: '' }
  ],
  parameters_note: '',
  header: {},
  header_problem: null,
  problem: null
};

/** Wait until something holds. */
export async function until(holds: () => boolean): Promise<void> {
  const end = Date.now() + 4000;
  while (!holds()) {
    if (Date.now() > end) {
      throw new Error('It did not happen within 4 s.');
    }
    await new Promise(resolve => setTimeout(resolve, 5));
  }
}
