import type { Contents } from '@jupyterlab/services';

import { descriptions } from '../core/descriptions';
import type { IRemembered } from '../core/tokens';
import type { IFolder, IInspection, ISession } from '../core/types';
import { initial, offer, settle } from '../features/submit/choices';
import { SubmitForm } from '../features/submit/form';
import { completions, labelsInUse } from '../features/submit/labels';
import { propose, seconds as headerSeconds } from '../features/submit/proposal';
import { readRequest } from '../features/submit/request';
import { inUnit, parseLabels, seconds, splitArguments } from '../features/submit/values';
import {
  type Answer,
  FakeServer,
  makeJob,
  NOTEBOOK,
  PLATFORM,
  STATUS,
  trans,
  until
} from './server';

describe('choices', () => {
  it('begin with what the session has', () => {
    expect(initial(PLATFORM, STATUS.session as ISession)).toEqual({
      project: 'ml',
      accelerator: 't4',
      count: 1,
      queue: 'idle',
      image: 'standard',
      size: 'large'
    });
  });

  it('follow a change of the accelerator with image, queue and count', () => {
    const before = { ...initial(PLATFORM, null), accelerator: 't4', count: 2, queue: 'short' };
    const after = settle(PLATFORM, { ...before, accelerator: 'v70' });
    expect(after).toMatchObject({ accelerator: 'v70', image: 'fpga', queue: 'idle', count: 1 });
  });

  it('follow a change of the project with accelerator and size', () => {
    const before = initial(PLATFORM, STATUS.session as ISession);
    const after = settle(PLATFORM, { ...before, project: 'astro' });
    expect(after).toMatchObject({
      project: 'astro',
      accelerator: 'none',
      count: 0,
      size: 'small',
      queue: 'short'
    });
    expect(offer(PLATFORM, after).accelerators).toEqual([]);
  });

  it('replace a choice that no longer exists', () => {
    const session = { ...(STATUS.session as ISession), image: 'gone', accelerator: 'gone' };
    expect(initial(PLATFORM, session)).toMatchObject({ image: 'standard', accelerator: 'none' });
  });
});

describe('values', () => {
  it.each([
    ['--a 1', ['--a', '1']],
    ['  "two words" \'$HOME\' ', ['two words', '$HOME']],
    ['a\\ b ""', ['a b', '']],
    ['"say \\"hi\\""', ['say "hi"']],
    ['', []]
  ])('splits %j', (line, list) => {
    expect(splitArguments(line)).toEqual(list);
  });

  it('does not guess where a quote ends', () => {
    expect(splitArguments('"open')).toBeNull();
  });

  // The tables are those of the platform's own rule, in tests/vkd/test_bulk.py.
  it.each([
    ['paper-2026, Trial  trial', ['paper-2026', 'trial']],
    ['città,cms/ml:v2\ta.b_c+d', ['città', 'cms/ml:v2', 'a.b_c+d']],
    ['cittA\u0300', ['città']],
    ['x'.repeat(40), ['x'.repeat(40)]],
    [' , ', []]
  ])('reads the labels %j', (typed, labels) => {
    expect(parseLabels(typed, trans)).toEqual({ labels });
  });

  it.each([
    ['ok, -x', '“-x” cannot be a label'],
    ['_x', '“_x” cannot be a label'],
    ['x'.repeat(41), 'one word of at most 40'],
    ['a\u202eb', 'cannot be a label'],
    ['\ud800', 'cannot be a label'],
    ['<b>', '“<b>” cannot be a label'],
    ['a b c d e f g h i j k', 'A job has at most 10 labels.']
  ])('says what of %j is no label', (typed, words) => {
    expect(parseLabels(typed, trans).error).toContain(words);
  });

  it('offers the labels in use that are not there yet, those of the newest job first', () => {
    const used = labelsInUse(
      [
        makeJob('old', { labels: ['trial', 'paper'] }),
        makeJob('other', { labels: ['theirs'], owner: 'bob' }),
        makeJob('new', { labels: ['fit'], created: '2026-11-24T10:00:00Z' })
      ],
      'ada'
    );
    expect(used).toEqual(['fit', 'trial', 'paper']);
    expect(completions('', used)).toEqual(used);
    expect(completions('Fit, pa', used)).toEqual(['Fit, trial', 'Fit, paper']);
  });

  it('reads and writes time limits', () => {
    expect(inUnit(3600)).toEqual({ amount: '1', unit: 'hours' });
    expect(inUnit(86400)).toEqual({ amount: '24', unit: 'hours' });
    expect(inUnit(172800)).toEqual({ amount: '2', unit: 'days' });
    expect(inUnit(90)).toEqual({ amount: '1.5', unit: 'minutes' });
    expect(seconds('1,5', 'hours')).toBe(5400);
    expect(seconds('0', 'hours')).toBeNull();
    expect(seconds('soon', 'hours')).toBeNull();
  });
});

describe('the proposal', () => {
  const file = (header: { [key: string]: string }) => ({ ...NOTEBOOK, header });
  const sources = {
    platform: PLATFORM,
    session: STATUS.session as ISession,
    inspection: NOTEBOOK,
    remembered: null,
    typed: {}
  };
  const chosen = { accelerator: 'v70', size: 'small', image: 'fpga' };

  it('prefers what is typed to the header, that to the last time, and that to the session', () => {
    const header = { accelerator: 'none', time_limit: '2h', name: 'a run' };
    const remembered = { selection: chosen, time: 60 };
    expect(propose({ ...sources, remembered }, trans)).toMatchObject({
      selection: { accelerator: 'v70', size: 'small', image: 'fpga', queue: 'idle' },
      time: 60,
      labels: '',
      given: ''
    });
    const inspection = file(header);
    expect(propose({ ...sources, remembered, inspection }, trans)).toMatchObject({
      selection: { accelerator: 'none', size: 'small', count: 0 },
      time: 7200,
      name: 'a run',
      given: 'CPU only, 2 h, the name “a run”',
      notes: {}
    });
    const typed = { accelerator: 't4' };
    expect(propose({ ...sources, remembered, inspection, typed }, trans)).toMatchObject({
      selection: { accelerator: 't4', count: 1, image: 'standard' },
      notes: {}
    });
  });

  it.each([
    [{ accelerator: 'h100' }, 'accelerator', 'asks for h100, which you may not use'],
    [{ project: 'astro', accelerator: 't4' }, 'accelerator', 'NVIDIA T4, which does not go with'],
    [{ accelerator: 'h100', count: '9' }, 'accelerator', 'asks for h100'],
    [{ count: '9' }, 'count', 'asks for 9; a job may have 2 at most'],
    [{ count: 'all' }, 'count', 'says count=all'],
    [{ time_limit: 'soon' }, 'time_limit', 'says time=soon, which is no duration'],
    [{ size: 'huge' }, 'size', 'asks for huge'],
    [{ image: 'fpga' }, 'image', 'FPGA tools, which does not go with']
  ])('says at its field what of %j cannot be used', (header, field, words) => {
    const { notes } = propose({ ...sources, inspection: file(header) }, trans);
    expect(Object.keys(notes)).toEqual([field]);
    expect(notes[field]).toContain(words);
  });

  it('finds an accelerator for a queue that the header names', () => {
    const session = { ...sources.session, accelerator: 'v70', image: null };
    const { selection, notes } = propose(
      { ...sources, session, inspection: file({ queue: 'short' }) },
      trans
    );
    expect(selection).toMatchObject({ queue: 'short', accelerator: 'none' });
    expect(notes).toEqual({});
  });

  it.each([
    ['90m', 5400],
    ['1d2h', 93600],
    ['1h30m5s', 5405],
    ['0h', null],
    ['2 h', null],
    ['3600', null],
    ['', null]
  ])('reads the duration %j as the platform does', (text, value) => {
    expect(headerSeconds(text)).toBe(value);
  });
});

describe('SubmitForm', () => {
  let server: FakeServer;
  let form: SubmitForm;
  let submit: () => Answer | Promise<Answer>;
  let check: () => Answer | Promise<Answer>;
  let dryRun: () => Answer;
  let kept: IRemembered | null;

  const FITS = { what: 'fits', verdict: 'ok', sentence: 'It fits.', hint: '', field: null };
  const MISSING = {
    what: 'packages',
    verdict: 'problem',
    sentence: 'No package uproot.',
    hint: 'Install it.',
    field: null
  };
  const accepted = (...checks: object[]): Answer => ({
    body: { sentence: 'Would start now.', ahead: 0, problem: null, checks: [FITS, ...checks] }
  });

  beforeEach(async () => {
    submit = () => ({ status: 201, body: makeJob('new') });
    check = () => accepted();
    dryRun = () => ({ body: { sentence: 'Would wait.', ahead: 1, checks: [] } });
    kept = null;
    server = new FakeServer(({ method, path, query }) => {
      if (method === 'POST') {
        return path === 'check' ? check() : query.has('dry_run') ? dryRun() : submit();
      }
      return { body: { status: STATUS, inspect: NOTEBOOK, platform: PLATFORM }[path] };
    });
    const { api } = server;
    form = new SubmitForm({
      api,
      contents: {} as Contents.IManager,
      trans,
      path: 'train.ipynb',
      readPlatform: () => api.platform(),
      memory: {
        recall: async () => kept,
        keep: (_, chosen) => {
          kept = chosen;
        }
      }
    });
    await form.load();
  });

  afterEach(() => form.dispose());

  const posts = () =>
    server.requests.filter(
      ({ method, path, query }) => method === 'POST' && path === 'jobs' && !query.has('dry_run')
    );
  const asked = () => server.log.filter(line => /POST (check|jobs\?dry_run=1)/.test(line));
  const answered = () => until(() => !form.checker.pending);

  it('sends the choices and only the parameters that were changed', async () => {
    form.setInput('epochs', '50');
    form.setInput('rate', '0.02');
    form.resetInput('rate');
    form.write({ name: ' long ' });
    expect((await form.submit())?.id).toBe('new');
    expect(JSON.parse(posts()[0].body)).toEqual({
      path: 'train.ipynb',
      project: 'ml',
      accelerator: 't4',
      count: 1,
      queue: 'idle',
      image: 'standard',
      size: 'large',
      time_limit: 3600,
      typed: { epochs: '50' },
      name: 'long'
    });
  });

  it('sends every text that is said about the job', () => {
    const said = Object.fromEntries(descriptions(trans).map(({ key, label }) => [key, label]));
    form.write(Object.fromEntries(Object.entries(said).map(([key, text]) => [key, ` ${text} `])));
    expect(readRequest(form, trans).body).toMatchObject(said);
    form.write(Object.fromEntries(Object.keys(said).map(key => [key, ' '])));
    expect(Object.keys(readRequest(form, trans).body)).not.toEqual(
      expect.arrayContaining(Object.keys(said))
    );
  });

  it('says at their field what is wrong with labels, and sends them as the platform keeps them', async () => {
    form.set({ labels: 'Paper-2026, -x' });
    expect(form.errors.labels).toContain('“-x” cannot be a label');
    expect(form.canSubmit).toBe(false);
    form.set({ labels: 'Paper-2026, x' });
    expect(form.errors).toEqual({});
    await form.submit();
    expect(JSON.parse(posts()[0].body).labels).toEqual(['paper-2026', 'x']);
  });

  it('says what the server would do, after a pause in the typing', async () => {
    form.setInput('epochs', '5');
    form.setInput('epochs', '50');
    await answered();
    expect(form.checker.verdict).toEqual({ kind: 'accepted', sentence: 'Would start now.' });
    expect(asked()).toEqual(['POST check']);
  });

  it('looks at the file again only when something of it changed', async () => {
    check = () => accepted(MISSING);
    await answered();
    form.set({ amount: '2' });
    expect(form.checker.verdict).toMatchObject({ kind: 'accepted' });
    await answered();
    expect(form.checker.verdict).toEqual({ kind: 'accepted', sentence: 'Would wait.' });
    expect(form.checker.checks).toEqual([MISSING]);
    form.select({ image: 'fpga' });
    form.setInput('epochs', '3');
    await answered();
    expect(asked()).toEqual(['POST check', 'POST jobs?dry_run=1', 'POST check']);
  });

  it('takes a problem of the file for advice, and a refusal for none', async () => {
    check = () => accepted(MISSING);
    await answered();
    expect([form.refused, form.canSubmit]).toEqual([false, true]);
    const problem = { reason: 'too_many', message: 'Too many wait.', hint: '', field: null };
    check = () => ({ body: { sentence: '', ahead: null, problem, checks: [] } });
    form.setInput('epochs', '3');
    await answered();
    expect([form.refusal?.message, form.refused]).toEqual(['Too many wait.', false]);
    check = () => ({
      body: {
        sentence: '',
        ahead: null,
        problem: { ...problem, reason: 'unknown', field: 'image' },
        checks: []
      }
    });
    form.setInput('epochs', '4');
    await answered();
    expect(form.refused).toBe(true);
    form.write({ name: 'something else' });
    expect(form.errors).toEqual({ image: 'Too many wait.' });
    form.select({ image: 'fpga' });
    expect([form.refused, form.errors]).toEqual([false, {}]);
  });

  it('asks again when nobody answered, and keeps what was known of the file', async () => {
    check = () => accepted(MISSING);
    await answered();
    dryRun = () => ({
      status: 503,
      body: { reason: 'unavailable', message: 'No answer.', hint: '', field: null }
    });
    form.set({ amount: '2' });
    await answered();
    expect([form.refusal?.message, form.refused]).toEqual(['No answer.', false]);
    expect(form.checker.checks).toEqual([MISSING]);
    dryRun = () => ({ body: { sentence: 'Starts now.', ahead: 0, checks: [FITS] } });
    await form.checker.again();
    expect(form.checker.checks).toEqual([FITS, MISSING]);
    expect(form.refusal).toBeNull();
  });

  it('places advice at its field', async () => {
    check = () =>
      accepted({
        what: 'kernel',
        verdict: 'notice',
        sentence: 'Another environment.',
        hint: 'Look.',
        field: 'image'
      });
    await answered();
    expect(form.notes).toEqual({ image: 'Another environment. Look.' });
  });

  it('submits what is sure to fail only as somebody who knows it', async () => {
    await form.submit();
    check = () => accepted({ ...MISSING, verdict: 'problem' });
    form.setInput('epochs', '3');
    await answered();
    expect([form.anyway, form.canSubmit]).toEqual([true, true]);
    await form.submit();
    const bodies = posts().map(({ body }) => (JSON.parse(body) as { anyway?: boolean }).anyway);
    expect(bodies).toEqual([undefined, true]);
  });

  it('says how Python will have what is typed, and where it cannot be read', async () => {
    const body = { sentence: 'Would start now.', ahead: 0, problem: null, checks: [FITS] };
    check = () => ({ body: { ...body, values: { epochs: '2000000' } } });
    form.setInput('epochs', '2_000_000');
    await answered();
    expect(form.checker.values).toEqual({ epochs: '2000000' });
    const problem = {
      reason: 'invalid',
      message: 'It must be a number.',
      hint: '',
      field: 'parameters.epochs'
    };
    check = () => ({ body: { sentence: '', ahead: null, problem, checks: [], values: {} } });
    form.setInput('epochs', 'many');
    await answered();
    expect(form.errors).toEqual({ 'parameters.epochs': 'It must be a number.' });
    expect([form.refused, form.checker.values]).toEqual([true, {}]);
  });

  it('remembers what was chosen, and forgets it when told so', async () => {
    form.select({ accelerator: 'v70' });
    form.set({ amount: '2' });
    await form.submit();
    expect(kept).toMatchObject({ selection: { accelerator: 'v70' }, time: 7200 });
    const { api } = server;
    const next = new SubmitForm({
      api,
      contents: {} as Contents.IManager,
      trans,
      path: 'train.ipynb',
      readPlatform: () => api.platform(),
      memory: { recall: async () => kept, keep: (_, chosen) => (kept = chosen) }
    });
    await next.load();
    expect(next.selection?.accelerator).toBe('v70');
    expect([next.amount, next.unit, next.recalled]).toEqual(['2', 'hours', true]);
    next.forget();
    expect([next.selection?.accelerator, next.amount, next.recalled, kept]).toEqual([
      't4',
      '1',
      false,
      null
    ]);
    next.dispose();
  });

  it('shows a refusal at its field', async () => {
    check = () => ({
      status: 422,
      body: {
        reason: 'too_large',
        message: 'Too long.',
        hint: 'Ask for less.',
        field: 'time_limit'
      }
    });
    form.set({ amount: '2' });
    await until(() => form.refused);
    expect(form.errors).toEqual({ time_limit: 'Too long. Ask for less.' });
  });

  it('does not send what it cannot read', async () => {
    form.set({ amount: '30', unit: 'days' });
    expect(Object.keys(form.errors)).toEqual(['time_limit']);
    expect(await form.submit()).toBeNull();
    expect(posts()).toHaveLength(0);
  });

  it('is one submission when pressed twice', async () => {
    const both = await Promise.all([form.submit(), form.submit()]);
    expect(both.map(job => job?.id)).toEqual(['new', undefined]);
    expect(posts()).toHaveLength(1);
  });

  it('tries again with the same key, and with another one after a change', async () => {
    submit = () => ({ status: 502, body: 'bad gateway' });
    expect(await form.submit()).toBeNull();
    expect(form.failure?.message).toContain('does not answer');
    await form.submit();
    form.setInput('epochs', '21');
    expect(form.failure).toBeNull();
    await form.submit();
    const keys = posts().map(({ headers }) => headers.get('Idempotency-Key'));
    expect(keys[0]).toBeTruthy();
    expect(keys[1]).toBe(keys[0]);
    expect(keys[2]).not.toBe(keys[0]);
  });

  it('keeps the reason of a failure until something is changed', async () => {
    submit = () => ({
      status: 507,
      body: { reason: 'storage_full', message: 'No room.', hint: '', field: null }
    });
    await form.submit();
    expect(form.failure?.message).toBe('No room.');
    expect(form.inputs).toEqual({});
    expect(form.canSubmit).toBe(true);
  });
});

describe('a folder in the form', () => {
  const INFO: IFolder = {
    path: 'work/proj',
    name: 'proj',
    files: 3,
    size: 100,
    left_out: [],
    linked: [],
    programs: ['main.py', 'explore.ipynb'],
    program: 'main.py',
    command: '',
    sentence: 'A copy of the folder is made: 3 files, 100 bytes.'
  };
  const MAIN: IInspection = {
    ...NOTEBOOK,
    path: 'work/proj/main.py',
    name: 'main.py',
    kind: 'script',
    kernel: null,
    parameters: [],
    header: { accelerator: 'none', time_limit: '2h', labels: 'a,b' }
  };
  const EXPLORE = { ...NOTEBOOK, path: 'work/proj/explore.ipynb', name: 'explore.ipynb' };
  let server: FakeServer;
  let form: SubmitForm;
  let info: IFolder;
  let kept: IRemembered | null;

  const open = async () => {
    server = new FakeServer(({ method, path, query }) => {
      if (method === 'POST') {
        return path === 'check'
          ? { body: { sentence: 'Starts now.', ahead: 0, problem: null, checks: [] } }
          : { status: 201, body: makeJob('new') };
      }
      const asked = query.get('path');
      const inspect = asked === MAIN.path ? MAIN : asked === EXPLORE.path ? EXPLORE : null;
      return path === 'inspect' && !inspect
        ? { status: 404, body: { reason: 'not_found', message: 'Gone.', hint: '', field: 'path' } }
        : { body: { status: STATUS, folder: info, inspect, platform: PLATFORM }[path] };
    });
    const { api } = server;
    form = new SubmitForm({
      api,
      contents: {} as Contents.IManager,
      trans,
      path: 'work/proj',
      isFolder: true,
      readPlatform: () => api.platform(),
      memory: { recall: async () => kept, keep: (_, chosen) => (kept = chosen) }
    });
    await form.load();
  };
  const sent = () => JSON.parse(server.requests.filter(({ path }) => path === 'jobs')[0].body);

  beforeEach(() => {
    info = INFO;
    kept = null;
  });
  afterEach(() => form.dispose());

  it('begins with the likely file and its header, and sends the folder with it', async () => {
    await open();
    expect(form.given).toBe('CPU only, 2 h, the labels a,b');
    expect(form.labels).toBe('a, b');
    form.set({ argumentLine: '-v' });
    expect((await form.submit())?.id).toBe('new');
    expect(sent()).toMatchObject({
      path: 'work/proj/main.py',
      folder: 'work/proj',
      arguments: ['-v'],
      accelerator: 'none',
      time_limit: 7200,
      labels: ['a', 'b']
    });
    expect(kept).toMatchObject({ program: 'main.py', line: '-v' });
  });

  it('takes over what another file is, but not what was typed', async () => {
    await open();
    form.set({ amount: '3' });
    form.run({ program: 'explore.ipynb' });
    expect(form.canSubmit).toBe(false);
    await until(() => form.canSubmit);
    expect([form.selection?.accelerator, form.amount, form.given]).toEqual(['t4', '3', '']);
    form.setInput('epochs', '7');
    await form.submit();
    expect(sent()).toMatchObject({ path: 'work/proj/explore.ipynb', typed: { epochs: '7' } });
    expect(sent()).not.toHaveProperty('arguments');
  });

  it('sends a command without a file, and needs one', async () => {
    await open();
    form.run({ way: 'command' });
    expect(form.errors).toEqual({ command: 'Write what is to run.' });
    expect(await form.submit()).toBeNull();
    form.run({ command: ' make | tee log ' });
    await form.submit();
    expect(sent()).toMatchObject({ folder: 'work/proj', command: 'make | tee log' });
    expect(sent()).not.toHaveProperty('path');
    form.dispose();
    await open();
    expect([form.folder?.way, form.folder?.command]).toEqual(['command', 'make | tee log']);
  });

  it('asks for a file where none is likely, and says what is wrong with one', async () => {
    info = { ...INFO, program: null, programs: ['gone.py', 'main.py'] };
    await open();
    expect(form.errors).toEqual({ program: 'Choose the file that is to run.' });
    form.run({ program: 'gone.py' });
    await until(() => form.errors.program === 'Gone.');
    form.run({ program: 'main.py' });
    await until(() => form.canSubmit);
    expect(form.errors).toEqual({});
  });

  it('offers only a command where no file can run, the likely one', async () => {
    info = { ...INFO, program: null, programs: [], command: 'make' };
    await open();
    expect([form.folder?.way, form.folder?.command, form.canSubmit]).toEqual([
      'command',
      'make',
      true
    ]);
  });
});
