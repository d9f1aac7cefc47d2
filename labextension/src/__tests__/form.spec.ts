import type { Contents } from '@jupyterlab/services';

import { initial, offer, settle } from '../submit/choices';
import { SubmitForm } from '../submit/form';
import { inUnit, parseInput, seconds, splitArguments } from '../submit/values';
import type { IParameter, ISession, ParameterType } from '../types';
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
  const parameter = (type: ParameterType): IParameter => ({
    name: 'p',
    type,
    default: null,
    source: '',
    help: ''
  });

  it.each([
    ['int', '12', 12],
    ['int', ' -3 ', -3],
    ['float', '1e-3', 0.001],
    ['float', '.5', 0.5],
    ['str', ' as typed ', ' as typed '],
    ['list', '[1, "a"]', [1, 'a']],
    ['dict', '{"a": 1}', { a: 1 }],
    ['unknown', '', undefined],
    ['unknown', '"x"', 'x'],
    ['none', '3', 3]
  ] as const)('%s reads %j', (type, text, value) => {
    expect(parseInput(parameter(type), text, trans)).toEqual({ value });
  });

  it.each([
    ['int', '1.5'],
    ['int', ''],
    ['int', '99999999999999999999'],
    ['float', 'fast'],
    ['float', 'Infinity'],
    ['list', '{"a": 1}'],
    ['dict', '[1]'],
    ['none', 'text without quotes']
  ] as const)('%s refuses %j with a sentence', (type, text) => {
    expect(parseInput(parameter(type), text, trans)).toHaveProperty('error');
  });

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

describe('SubmitForm', () => {
  let server: FakeServer;
  let form: SubmitForm;
  let submit: () => Answer | Promise<Answer>;
  let check: () => Answer;

  beforeEach(async () => {
    submit = () => ({ status: 201, body: makeJob('new') });
    check = () => ({ body: { sentence: 'Would start now.', ahead: 0 } });
    server = new FakeServer(({ method, path, query }) => {
      if (method === 'POST') {
        return query.has('dry_run') ? check() : submit();
      }
      return { body: { status: STATUS, inspect: NOTEBOOK, platform: PLATFORM }[path] };
    });
    const { api } = server;
    form = new SubmitForm({
      api,
      contents: {} as Contents.IManager,
      trans,
      path: 'train.ipynb',
      readPlatform: () => api.platform()
    });
    await form.load();
  });

  afterEach(() => form.dispose());

  const posts = () =>
    server.requests.filter(({ method, query }) => method === 'POST' && !query.has('dry_run'));

  it('sends the choices and only the parameters that were changed', async () => {
    form.setInput('epochs', '50');
    form.setInput('rate', '0.02');
    form.resetInput('rate');
    form.set({ name: ' long ' });
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
      parameters: { epochs: 50 },
      name: 'long'
    });
  });

  it('says what the server would do, after a pause in the typing', async () => {
    form.setInput('epochs', '5');
    form.setInput('epochs', '50');
    await until(() => form.check.kind === 'accepted');
    expect(form.check).toEqual({ kind: 'accepted', sentence: 'Would start now.' });
    expect(server.requests.filter(({ query }) => query.has('dry_run'))).toHaveLength(1);
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
    await until(() => form.check.kind === 'refused');
    expect(form.errors).toEqual({ time_limit: 'Too long. Ask for less.' });
  });

  it('does not send what it cannot read', async () => {
    form.setInput('epochs', 'many');
    form.set({ amount: '30', unit: 'days' });
    expect(Object.keys(form.errors)).toEqual(['time_limit', 'parameters.epochs']);
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
