import { detail } from '../core/status';
import type { IInspection, ISweepPoint, Point } from '../core/types';
import { show, whole } from '../core/values';
import { SweepDraft } from '../features/sweep/draft';
import { columns, seconds, segments, segmentWords, sorted } from '../features/sweep/table';
import { type Answer, FakeServer, makeJob, NOTEBOOK, trans, until } from './server';

const NOW = Date.parse('2026-11-23T11:00:00Z');

function makePoint(point: number, more: Partial<ISweepPoint> = {}): ISweepPoint {
  return {
    point,
    job: `j${point}`,
    state: 'succeeded',
    sentence: 'Finished',
    parameters: {},
    values: {},
    attempt: 1,
    started: '2026-11-23T10:59:00Z',
    ended: '2026-11-23T10:59:30Z',
    output: '',
    carried: false,
    lab_output: null,
    ...more
  };
}

describe('the table of a sweep', () => {
  const points = [
    makePoint(1, { parameters: { lr: 10, opt: 'run 10' }, values: { loss: 0.5 } }),
    makePoint(2, { parameters: { lr: 9, opt: 'run 2' }, values: { loss: 'inf' }, state: 'failed' }),
    makePoint(3, { parameters: { lr: 1e-3, opt: 'run 1' }, state: 'running', ended: null }),
    makePoint(4, { parameters: { lr: 9, opt: null }, values: { loss: 0.25, lr: 7 } })
  ];
  const heads = columns(points, trans);
  const order = (key: string, descending = false) =>
    sorted(
      points,
      heads.find(column => column.key === key),
      descending,
      NOW
    ).map(({ point }) => point);

  it('has a column for each parameter and each recorded value, told apart where the names are the same', () => {
    expect(heads.map(({ title }) => title)).toEqual([
      'No.',
      'State',
      'lr',
      'opt',
      'Took',
      'loss',
      'lr (recorded)'
    ]);
  });

  it.each([
    ['parameter:lr', false, [3, 2, 4, 1]],
    ['parameter:lr', true, [1, 2, 4, 3]],
    ['parameter:opt', false, [3, 2, 1, 4]],
    ['parameter:opt', true, [1, 2, 3, 4]],
    ['value:loss', false, [4, 1, 2, 3]],
    ['value:loss', true, [2, 1, 4, 3]],
    ['state', false, [2, 3, 1, 4]],
    ['seconds', true, [3, 1, 2, 4]],
    ['nothing', false, [1, 2, 3, 4]]
  ])('sorts by %s, descending %s', (key, descending, expected) => {
    expect(order(key, descending)).toEqual(expected);
  });

  it('sorts a thousand points by number, and works each value out once', () => {
    const many = Array.from({ length: 1000 }, (_, at) =>
      makePoint(at + 1, { values: { loss: (at * 7919) % 1000 } })
    );
    const column = columns(many, trans)[columns(many, trans).length - 1];
    const value = jest.spyOn(column, 'value');
    const [first] = sorted(many, column, true, NOW);
    expect(first.values.loss).toBe(999);
    expect(value).toHaveBeenCalledTimes(1000);
  });

  it.each([
    [makePoint(1), 30],
    [makePoint(1, { ended: null, state: 'running' }), 60],
    [makePoint(1, { started: null, ended: null, state: 'queued' }), undefined],
    [makePoint(1, { ended: null, state: 'queued' }), undefined],
    [makePoint(1, { started: null, state: 'cancelled' }), undefined]
  ])('knows how long a point took (%#)', (point, expected) => {
    expect(seconds(point, NOW)).toBe(expected);
  });

  it.each([
    [1, '1', undefined],
    [0.1 + 0.2, '0.3', '0.30000000000000004'],
    [1.5e-9, '1.5e-9', undefined],
    [1e300, '1e+300', undefined],
    ['nan', 'nan', undefined],
    [true, 'True', undefined],
    [[1, 2], '[1, 2]', undefined],
    [null, 'None', undefined],
    [{ $float: 'nan' }, 'nan', undefined],
    [{ $tuple: [1] }, '(1,)', undefined],
    [undefined, '', undefined],
    ['x'.repeat(30), 'x'.repeat(30), 'x'.repeat(30)]
  ])('shows %j as %j', (value, text, title) => {
    expect(show(value)).toBe(text);
    expect(whole(value)).toBe(title);
  });

  it('says in words what the bar shows', () => {
    const sweep = {
      points: 9,
      parallelism: 2,
      queued: 4,
      starting: 1,
      running: 1,
      succeeded: 2,
      failed: 1,
      cancelled: 0
    };
    expect(segments(sweep).map(({ state }) => state)).toEqual([
      'succeeded',
      'failed',
      'running',
      'queued'
    ]);
    expect(segmentWords(sweep, trans)).toBe('2 succeeded, 1 failed, 2 running, 4 waiting');
    expect(detail(makeJob('s', { sweep, state: 'running' }), trans)).toBe('3 of 9 points done');
    expect(detail(makeJob('s', { sweep, state: 'failed' }), trans)).toBe('1 of 9 points failed');
  });
});

describe('SweepDraft', () => {
  let server: FakeServer;
  let draft: SweepDraft;
  let answer: () => Answer | Promise<Answer>;
  const points: Point[] = [{ epochs: 1 }, { epochs: 2 }, { epochs: 3 }];

  const begin = (inspection: IInspection) => {
    draft = new SweepDraft({ api: server.api, trans });
    draft.inspected(inspection);
  };

  beforeEach(() => {
    answer = () => ({ body: { points } });
    server = new FakeServer(() => answer());
    begin(NOTEBOOK);
  });

  afterEach(() => draft.dispose());

  const asked = () => server.requests.map(({ body }) => JSON.parse(body));

  it('asks once, after a pause in the typing, for what is filled in', async () => {
    draft.turn(true, NOTEBOOK, {});
    draft.setValues('shuffle', 'true');
    draft.setValues('epochs', '1..');
    draft.setValues('epochs', '1..3');
    draft.setValues('rate', ' ');
    expect(draft.pending).toBe(true);
    await until(() => !draft.pending);
    expect(asked()).toEqual([{ path: 'train.ipynb', grid: { epochs: '1..3', shuffle: 'true' } }]);
    expect(Object.keys(asked()[0].grid)).toEqual(['epochs', 'shuffle']);
    expect(draft.size).toBe(3);
    expect(draft.body).toEqual({ points, parallelism: 3 });
  });

  it('is not asked about while it is one run, and not twice about the same', async () => {
    draft.setValues('epochs', '1..3');
    expect(draft.pending).toBe(false);
    draft.turn(true, NOTEBOOK, {});
    await draft.settle();
    draft.setAtMost('2');
    draft.setValues('epochs', '1..3');
    expect(draft.pending).toBe(false);
    expect(draft.body?.parallelism).toBe(2);
    expect(asked()).toHaveLength(1);
  });

  it('begins with what was changed for one run', () => {
    draft.turn(true, NOTEBOOK, { epochs: '50', rate: '0.01', shuffle: false });
    expect(draft.grid).toEqual({ epochs: '50', shuffle: 'False' });
  });

  it.each([
    ['parameters.epochs', 'sweep.epochs'],
    ['sweep.epochs', 'sweep.epochs'],
    ['sweep.other', 'sweep'],
    ['sweep.points', 'sweep'],
    ['sweep', 'sweep'],
    ['sweep.parallelism', 'sweep.parallelism'],
    ['time_limit', 'time_limit']
  ])('puts a refusal about %s at %s', async (field, place) => {
    answer = () => ({ status: 422, body: { reason: 'invalid', message: 'No.', hint: '', field } });
    draft.turn(true, NOTEBOOK, {});
    draft.setValues('epochs', 'x');
    await draft.settle();
    expect(draft.errors).toEqual({ [place]: 'No.' });
    expect(draft.size).toBe(0);
    draft.set({ way: 'table', table: 'epochs\nx' });
    await draft.settle();
    expect(draft.errors).toEqual({
      [/^(sweep|parameters)(?!\.parallelism)/.test(field) ? 'sweep' : field]: 'No.'
    });
  });

  it('asks again about what the server did not answer', async () => {
    answer = () => ({ status: 502, body: 'bad gateway' });
    draft.turn(true, NOTEBOOK, {});
    draft.setValues('epochs', '1..3');
    await draft.settle();
    expect(draft.errors.sweep).toContain('does not answer');
    answer = () => ({ body: { points } });
    draft.setValues('epochs', '1..3');
    await draft.settle();
    expect(draft.errors).toEqual({});
  });

  it('lets a later answer count, whichever comes first', async () => {
    let release = (_: Answer) => {};
    answer = () => new Promise<Answer>(resolve => (release = resolve));
    draft.turn(true, NOTEBOOK, {});
    draft.setValues('epochs', '1, 2');
    const first = draft.settle();
    const late = release;
    answer = () => ({ body: { points } });
    draft.setValues('epochs', '1..3');
    await draft.settle();
    late({ body: { points: points.slice(0, 2) } });
    await first;
    expect(draft.size).toBe(3);
  });

  it('takes names for a script, and says which rows are wrong', async () => {
    begin({ ...NOTEBOOK, kind: 'script', path: 'run.py', parameters: [] });
    draft.turn(true, { ...NOTEBOOK, kind: 'script', parameters: [] }, {});
    draft.set({
      rows: [
        { name: 'lr', text: '0.1, 0.2' },
        { name: '', text: '3' },
        { name: 'lr ', text: '' }
      ]
    });
    expect(Object.keys(draft.errors)).toEqual(['sweep#1', 'sweep#2']);
    draft.set({ rows: [{ name: ' lr', text: '0.1, 0.2' }] });
    await draft.settle();
    expect(asked().pop()).toEqual({ path: 'run.py', grid: { lr: '0.1, 0.2' } });
    expect(draft.place('sweep.lr')).toBe('sweep#0');
  });

  it.each(['', '0', '1.5', 'all'])('does not take %j at once', text => {
    draft.turn(true, NOTEBOOK, {});
    draft.setAtMost(text);
    expect(draft.errors).toHaveProperty(['sweep.parallelism']);
  });
});
