import type { Contents } from '@jupyterlab/services';

import { type Api, ApiError } from '../core/api';
import type { ISubmission, Point } from '../core/types';
import { SubmitForm } from '../features/submit/form';
import { prefill, runs } from '../features/submit/prefill';
import { splitArguments } from '../features/submit/values';
import { SweepDraft } from '../features/sweep/draft';
import { writeTable } from '../features/sweep/write';
import { FakeServer, makeJob, NOTEBOOK, PLATFORM, STATUS, trans } from './server';

async function loaded(api: Api): Promise<SubmitForm> {
  const form = new SubmitForm({
    api,
    contents: {} as Contents.IManager,
    trans,
    path: 'train.ipynb',
    readPlatform: () => Promise.resolve(PLATFORM)
  });
  await form.load();
  return form;
}

describe('prefill', () => {
  const job = makeJob('old', {
    name: 'The fit',
    labels: ['paper-2026'],
    accelerator: 'v70',
    image: 'fpga',
    count: 1,
    time_limit: 5400,
    work: {
      kind: 'notebook',
      path: 'train.ipynb',
      snapshot: 's',
      kernel: 'python3',
      parameters: { epochs: 50, shuffle: false },
      arguments: ['--name', "it's one", 'a b', '']
    }
  });

  it('fills in what the job had, and what it did not say stays as the notebook says', async () => {
    const sent: ISubmission[] = [];
    const server = new FakeServer(({ path, method, body }) => {
      if (method === 'POST') {
        sent.push(JSON.parse(body) as ISubmission);
        return { body: { sentence: 'Starts now.', ahead: 0 } };
      }
      return { body: { status: STATUS, inspect: NOTEBOOK, platform: PLATFORM }[path] };
    });
    const form = await loaded(server.api);
    await prefill(form, job, server.api);
    expect(form.selection).toMatchObject({ accelerator: 'v70', image: 'fpga', size: 'small' });
    expect(form.inputs).toEqual({ epochs: '50', shuffle: false });
    expect([form.texts.name, form.amount, form.unit]).toEqual(['The fit', '90', 'minutes']);
    expect(splitArguments(form.argumentLine)).toEqual(job.work.arguments);
    await form.submit();
    expect(sent[sent.length - 1]).toMatchObject({
      name: 'The fit',
      labels: ['paper-2026'],
      time_limit: 5400,
      typed: { epochs: '50', shuffle: 'False' }
    });
    form.dispose();
  });

  it('fills in the points of a sweep as a table, which may be edited', async () => {
    const sweep = {
      points: 2,
      parallelism: 1,
      queued: 0,
      starting: 0,
      running: 0,
      succeeded: 2,
      failed: 0,
      cancelled: 0
    };
    const bodies: { [path: string]: string[] } = {};
    const server = new FakeServer(({ path, method, body }) => {
      if (method === 'POST') {
        (bodies[path] ??= []).push(body);
        return {
          body:
            path === 'sweep'
              ? { points: [{ epochs: 1, rate: 0.5 }] }
              : { sentence: 'Starts now.', ahead: 0, problem: null, checks: [] }
        };
      }
      if (path === 'jobs/old/points') {
        return {
          body: { points: [{ parameters: { rate: 0.1 } }, { parameters: { rate: 1e-7 } }] }
        };
      }
      return { body: { status: STATUS, inspect: NOTEBOOK, platform: PLATFORM }[path] };
    });
    const form = await loaded(server.api);
    const work = { ...job.work, parameters: { epochs: 50 } };
    const taken = prefill(form, makeJob('old', { sweep, work }), server.api);
    expect([form.sweep.on, form.canSubmit]).toEqual([true, false]);
    await taken;
    expect(form.sweep.table).toBe('epochs,rate\n50,0.1\n50,1e-07\n');
    expect([form.sweep.way, form.sweep.size, form.sweep.atMost]).toEqual(['table', 2, '1']);
    await form.submit();
    expect(JSON.parse(bodies.jobs[0]).sweep).toEqual({
      points: [
        { epochs: 50, rate: 0.1 },
        { epochs: 50, rate: 1e-7 }
      ],
      parallelism: 1
    });
    expect(bodies.sweep).toBeUndefined();
    form.sweep.set({ table: 'epochs,rate\n1,0.5\n' });
    await form.sweep.settle();
    expect(form.sweep.body?.points).toEqual([{ epochs: 1, rate: 0.5 }]);
    form.dispose();
  });

  it('says at the table why the points cannot be read', async () => {
    const draft = new SweepDraft({ api: {} as Api, trans });
    const problem = { reason: 'not_found', message: 'Gone.', hint: '', field: null };
    await draft.restore(Promise.reject(new ApiError('problem', problem, 404)), 2);
    expect(draft.errors).toEqual({ sweep: 'Gone.' });
    expect([draft.empty, draft.size]).toEqual([true, 0]);
    draft.dispose();
  });

  it.each([
    [{ folder: null, path: 'fit.py' }, undefined],
    [{ folder: 'proj', path: 'proj/src/fit.py' }, { program: 'src/fit.py' }],
    [
      { kind: 'command' as const, folder: 'proj', path: 'proj', command: 'make' },
      { command: 'make' }
    ]
  ])('lets the same run of a folder: %j', (work, expected) => {
    expect(runs(makeJob('old', { work: { ...job.work, ...work } }))).toEqual(expected);
  });

  // tests/unit/test_sweep_points.py reads the same texts.
  it.each([
    [[{ lr: 0.1, seed: 1 }], 'lr,seed\n0.1,1\n'],
    [[{ lr: 0.1, layers: [1, 2] }], 'lr\tlayers\n0.1\t[1, 2]\n'],
    [[{ optimiser: 'a,b', layers: ['x'] }], 'optimiser,layers\n"a,b",[\'x\']\n'],
    [[{ optimiser: ' "' }, { optimiser: '1' }], 'optimiser\n""" \\"""""\n1\n'],
    [[{ word: '1' }, { word: 'sgd' }, { word: true }], 'word\n"""1"""\nsgd\nTrue\n']
  ])('writes %j as a table', (points, text) => {
    const optimiser = {
      name: 'optimiser',
      type: 'str',
      default: '',
      source: '',
      help: ''
    } as const;
    expect(writeTable(points as Point[], [optimiser])).toBe(text);
  });
});
