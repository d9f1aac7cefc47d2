import { Notification } from '@jupyterlab/apputils';
import { PageConfig } from '@jupyterlab/coreutils';
import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';

import { span, timeLeft } from '../core/time-left';
import type { ISessionTime } from '../core/types';
import { asks } from '../features/session/clock';
import { readLeftOut, tellLeftOut } from '../features/session/kernels';
import { readPage } from '../features/session/plugin';
import { due, SessionTimeout } from '../features/session/timeout';
import { type Answer, FakeServer } from './server';

const trans = nullTranslator.load('aiinfn');
const MINUTE = 60_000;
const END = Date.parse('2026-11-24T18:40:00Z');

/** What the hub says when it is asked so many minutes before the end. */
function view(minutes: number, more: Partial<ISessionTime> = {}): ISessionTime {
  return {
    now: new Date(Date.now()).toISOString(),
    end: new Date(Date.now() + minutes * MINUTE).toISOString(),
    warnings: [900, 300],
    extends_at: null,
    extensions_left: 2,
    extension: { end: '', seconds: 3600 },
    refusal: null,
    ...more
  };
}

const refusal = {
  reason: 'capacity',
  message: 'Another session waits for T4.',
  hint: 'Save.',
  field: null
};

describe('words', () => {
  it.each([
    [0.2, '1 s'],
    [59, '59 s'],
    [60, '1 min'],
    [61, '2 min'],
    [3599, '1 h'],
    [3601, '1 h 1 min'],
    [7200, '2 h'],
    [90_000, '25 h']
  ])('of %p s are %p', (seconds, words) => expect(span(seconds * 1000, trans)).toBe(words));

  it.each([
    [-1, 'Session is ending'],
    [30, 'Less than 1 min left'],
    [7800, '2 h 10 min left']
  ])('for the status bar with %p s', (seconds, words) =>
    expect(timeLeft(seconds * 1000, trans)).toBe(words)
  );

  it.each([
    [16, 0],
    [15, 1],
    [5.1, 1],
    [5, 2],
    [0.1, 2]
  ])('%p minutes before the end %p warnings are due', (minutes, number) =>
    expect(due([900, 300], minutes * MINUTE)).toBe(number)
  );
});

describe('the page', () => {
  const read = (value: string) => {
    PageConfig.setOption('aiinfnSession', value);
    return readPage();
  };

  it('says when the session ends', () => {
    const end = '2026-11-24T18:40:00Z';
    expect(read(JSON.stringify({ end, certainUntil: '2026-11-24T17:40:00Z' }))).toEqual({
      end: END,
      certainUntil: END - 60 * MINUTE
    });
    expect(read(JSON.stringify({ end, certainUntil: '' }))?.certainUntil).toBe(END - 15 * MINUTE);
  });

  it.each(['', '{', '{}', 'null', '[]', '{"end": "soon"}'])('may say nothing: %p', value =>
    expect(read(value)).toBeNull()
  );
});

describe('kernels that are not offered', () => {
  it('are named in the page', () => {
    expect(readLeftOut(JSON.stringify({ names: ['Loud 1.0', 3] }))).toEqual(['Loud 1.0']);
  });

  it.each(['', '{', '{}', 'null', '[]', '{"names": "x"}'])('may be none: %p', value => {
    expect(readLeftOut(value)).toEqual([]);
    expect(tellLeftOut(readLeftOut(value), nullTranslator.load('aiinfn'))).toBe(false);
  });

  it('are told once in a window, and again when they change', () => {
    const before = Notification.manager.count;
    expect(tellLeftOut(['Loud 1.0'], nullTranslator.load('aiinfn'))).toBe(true);
    expect(tellLeftOut(['Loud 1.0'], nullTranslator.load('aiinfn'))).toBe(false);
    expect(Notification.manager.notifications[0].message).toContain('Loud 1.0');
    expect(tellLeftOut(['Loud 1.0', 'Louder'], nullTranslator.load('aiinfn'))).toBe(true);
    expect(Notification.manager.count).toBe(before + 2);
    Notification.dismiss();
  });
});

it.each([
  ['certain, and asked a moment ago', 0, 60_000, 0, false],
  ['certain, and not asked for two minutes', 0, 120_000, 0, true],
  ['not certain any more', 60_000, 0, 0, true]
])('the hub is asked when the end is %s', (_what, past, since, askedAt, wanted) =>
  expect(asks(askedAt + since, askedAt + since + 1 - past, askedAt)).toBe(wanted)
);

describe('SessionTimeout', () => {
  let server: FakeServer;
  let keeper: SessionTimeout;
  let answer: () => Answer;
  let told: [number, number, boolean][];

  beforeEach(() => {
    jest.useFakeTimers({
      now: END - 60 * MINUTE,
      doNotFake: [
        'setTimeout',
        'setInterval',
        'clearTimeout',
        'clearInterval',
        'setImmediate',
        'nextTick',
        'queueMicrotask'
      ]
    });
    told = [];
    answer = () => ({ body: view((END - Date.now()) / MINUTE) });
    server = new FakeServer(() => answer());
    keeper = new SessionTimeout({
      settings: server.api.settings,
      commands: new CommandRegistry(),
      trans,
      told: (...args) => told.push(args),
      end: END
    });
    Notification.dismiss();
  });

  afterEach(() => jest.useRealTimers());

  const at = async (minutes: number, again = false) => {
    jest.setSystemTime(END - minutes * MINUTE);
    await keeper.look(again);
  };
  const shown = () => Notification.manager.notifications;

  it('asks once to begin with and before each warning, however often it looks', async () => {
    for (let minutes = 60; minutes > 0; minutes -= 0.5) {
      await at(minutes);
    }
    expect(server.log.length).toBe(3);
  });

  it('asks when somebody comes back, but not again within a minute', async () => {
    await at(50);
    await at(49.5, true);
    expect(server.log.length).toBe(1);
    await at(40, true);
    expect(server.log.length).toBe(2);
  });

  it('warns twice, in one notification', async () => {
    await at(15.5);
    expect(shown()).toHaveLength(0);
    expect(told.pop()?.[2]).toBe(false);
    await at(15);
    expect(shown()).toHaveLength(1);
    expect(shown()[0].message).toContain('ends in 15 min');
    expect(shown()[0].message).toContain('lost');
    expect(told.pop()?.[2]).toBe(true);
    await at(5);
    expect(shown()).toHaveLength(1);
    expect(shown()[0].message).toContain('ends in 5 min');
    expect(shown()[0].options.actions?.map(({ label }) => label)).toEqual([
      'Extend by 1 h',
      'Submit as batch…'
    ]);
  });

  it('says why it cannot be extended, and offers nothing that would be refused', async () => {
    answer = () => ({ body: view((END - Date.now()) / MINUTE, { extension: null, refusal }) });
    await at(14);
    expect(shown()[0].message).toContain(refusal.message);
    expect(shown()[0].options.actions?.map(({ label }) => label)).toEqual(['Submit as batch…']);
  });

  it('warns at once of an end that came nearer, with the reason', async () => {
    await at(50);
    expect(shown()).toHaveLength(0);
    const soon = { end: new Date(END - 18 * MINUTE).toISOString(), warnings: [1860, 900, 300] };
    answer = () => ({ body: view(12, { ...soon, extension: null, refusal }) });
    await at(48, true);
    expect(shown()).toHaveLength(1);
    expect(shown()[0].message).toContain(refusal.message);
    // The access is back, and so is the end that was promised.
    answer = () => ({ body: view((END - Date.now()) / MINUTE) });
    await at(46, true);
    expect(shown()).toHaveLength(0);
    expect(told.pop()).toEqual([END, 0, false]);
  });

  it('does not warn of an end that was put off elsewhere', async () => {
    await at(14);
    expect(shown()).toHaveLength(1);
    answer = () => ({ body: view(65) });
    await at(5);
    expect(shown()).toHaveLength(0);
    expect(told.pop()).toEqual([END + 60 * MINUTE, 0, false]);
  });

  it('tells who asks, and what it tells then stays', async () => {
    await at(14);
    answer = () => ({ body: view(74, { extension: null, refusal }) });
    await keeper.show();
    await keeper.look();
    expect(shown()).toHaveLength(1);
    expect(shown()[0].message).toContain('ends in 1 h 14 min');
    expect(shown()[0].message).toContain(refusal.message);
    expect(shown()[0].options.actions).toEqual([]);
  });

  it('extends, and tells the new end in the same notification', async () => {
    await at(14);
    answer = () => ({ body: view(74, { extension: null, refusal, extensions_left: 1 }) });
    await keeper.extend();
    expect(server.log.pop()).toContain('POST');
    expect(shown()).toHaveLength(1);
    expect(shown()[0].message).toMatch(/now ends at .*once more/);
    expect(told.pop()).toEqual([END + 60 * MINUTE, 0, false]);
    // And it warns of the new end as of the first.
    answer = () => ({ body: view(14) });
    jest.setSystemTime(END + 46 * MINUTE);
    await keeper.look();
    expect(shown()[0].message).toContain('ends in 14 min');
  });

  it('tells a refused extension in the words of the hub, and lets somebody try again', async () => {
    await at(14);
    answer = () => ({ status: 503, body: refusal });
    await keeper.extend();
    expect(shown()[0].message).toBe('Another session waits for T4. Save.');
    expect(shown()[0].type).toBe('error');
    expect(shown()[0].options.actions?.[0].label).toBe('Extend by 1 h');
  });

  it('warns by what it knows when the server does not answer', async () => {
    answer = () => ({ status: 503, body: { ...refusal, reason: 'unavailable' } });
    await at(14);
    expect(shown()[0].message).toContain('ends in 14 min');
  });

  it('goes by the clock of the hub', async () => {
    // This machine is ten minutes late.
    answer = () => ({
      body: view(0, {
        now: new Date(END - 8 * MINUTE).toISOString(),
        end: new Date(END).toISOString()
      })
    });
    await at(18);
    expect(shown()[0].message).toContain('ends in 8 min');
    expect(told.pop()?.[1]).toBe(10 * MINUTE);
  });
});
