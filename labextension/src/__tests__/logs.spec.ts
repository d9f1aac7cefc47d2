import { find, keepPlace, MOST_FOUND } from '../features/job-common/log';
import { displayLog, KEPT, LogFollower, MOST, STEP, TAIL } from '../services/log-stream';
import { FakeServer, type IRequest, until } from './server';

const bytes = (text: string) => new TextEncoder().encode(text);

/** A server with a whole log, whose stream gives what it is told to. */
function serving(log: Uint8Array, pieces?: (from: number) => (Uint8Array | Error)[]) {
  return new FakeServer(({ query }: IRequest) => {
    const asked = Number(query.get('offset'));
    const from = asked < 0 ? Math.max(0, log.length + asked) : asked;
    const headers = { 'X-Log-Offset': String(from) };
    if (query.get('follow')) {
      return { headers, parts: pieces?.(from) ?? [log.slice(from)] };
    }
    return { headers, bytes: log.slice(from, from + Number(query.get('limit'))) };
  });
}

const lines = (number: number) =>
  Array.from(
    { length: number },
    (_, index) => `line ${String(index).padStart(7, '0')} — ok\n`
  ).join('');

describe('LogFollower', () => {
  it('goes on where the stream broke off, in the middle of a character', async () => {
    const text = bytes('loss 1 — ok\n');
    const cut = 8; // Within the dash.
    const server = serving(text, from =>
      from === 0 ? [text.slice(0, cut), new Error('connection lost')] : [text.slice(from)]
    );
    const follower = new LogFollower(server.api, 'a', 1);
    await follower.run();
    expect(server.log).toEqual([
      `GET jobs/a/logs?attempt=1&offset=-${TAIL}&follow=1`,
      'GET jobs/a/logs?attempt=1&offset=8&follow=1'
    ]);
    expect(follower.text).toBe('loss 1 — ok\n');
    expect(follower.state).toBe('ended');
    expect(follower.truncated).toBe(false);
    follower.dispose();
  });

  it('reads the end of a long log, and earlier parts without a seam', async () => {
    const whole = lines(40_000);
    const log = bytes(whole);
    const server = serving(log);
    const follower = new LogFollower(server.api, 'a', 1);
    await follower.run();
    expect(follower.truncated).toBe(true);
    expect(follower.text.length).toBeLessThan(TAIL);
    expect(whole.endsWith(follower.text)).toBe(true);
    expect(follower.text.startsWith('line ')).toBe(true);
    follower.trimming = false;
    while (follower.mayLoadEarlier) {
      await follower.earlier();
      expect(whole.endsWith(follower.text)).toBe(true);
    }
    expect(follower.text).toBe(whole);
    const asked = server.requests.slice(1).map(({ query }) => Number(query.get('limit')));
    expect(Math.max(...asked)).toBeLessThanOrEqual(STEP);
    follower.dispose();
  });

  it('shows the beginning with a gap, until earlier parts close it', async () => {
    const whole = lines(40_000);
    const follower = new LogFollower(serving(bytes(whole)).api, 'a', 1);
    await follower.run();
    follower.trimming = false;
    await follower.beginning();
    expect(follower.hasBeginning).toBe(true);
    expect(follower.text.startsWith('line 0000000')).toBe(true);
    expect(follower.truncated).toBe(true);
    const [head, next] = follower.parts;
    expect(head.to).toBeLessThan(next.from);
    expect(head.text.endsWith('\n')).toBe(true);
    while (follower.truncated) {
      await follower.earlier();
    }
    expect(follower.text).toBe(whole);
    follower.dispose();
  });

  it('keeps a bounded part of a log that goes on and on', async () => {
    const piece = bytes(lines(4000));
    const server = serving(new Uint8Array(), () => Array.from({ length: 100 }, () => piece));
    const follower = new LogFollower(server.api, 'a', 1);
    await follower.run();
    const kept = follower.parts.reduce((sum, part) => sum + part.to - part.from, 0);
    expect(kept).toBeLessThanOrEqual(KEPT);
    expect(follower.truncated).toBe(true);
    follower.dispose();
  });

  it('does not grow without end for somebody who reads what is old', async () => {
    const log = bytes(lines(200_000));
    const follower = new LogFollower(serving(log).api, 'a', 1);
    await follower.run();
    follower.trimming = false;
    for (let press = 0; press < 40; press++) {
      await follower.earlier();
    }
    expect(follower.mayLoadEarlier).toBe(false);
    expect(follower.text.length).toBeLessThan(MOST + STEP);
    follower.dispose();
  });

  it('lets a progress bar without an end of line overwrite itself', async () => {
    const bar = Array.from({ length: 20_000 }, (_, step) => `\r${step} of 20000`).join('');
    const follower = new LogFollower(serving(bytes(`begin\n${bar}\ndone\n`)).api, 'a', 1);
    await follower.run();
    expect(
      follower.text.endsWith('\n19999 of 20000\ndone\n') ||
        follower.text === '19999 of 20000\ndone\n'
    ).toBe(true);
    follower.dispose();
  });

  it('gives up on a refusal', async () => {
    const body = { reason: 'not_found', message: 'There is no such job.', hint: '', field: null };
    const server = new FakeServer(() => ({ status: 404, body }));
    const follower = new LogFollower(server.api, 'a', 1);
    await follower.run();
    expect(follower.state).toBe('refused');
    follower.dispose();
  });

  it('stops trying when it is disposed', async () => {
    const server = new FakeServer(() => ({ status: 503, body: 'down' }));
    const follower = new LogFollower(server.api, 'a', 1);
    const run = follower.run();
    await until(() => follower.state === 'interrupted');
    follower.dispose();
    await run;
    expect(server.requests).toHaveLength(1);
  });
});

describe('find', () => {
  const parts = [
    { from: 0, to: 20, text: 'Loss 1 (a)\nloss 2\n' },
    { from: 20, to: 30, text: 'LOSS 3\n' }
  ];

  it('finds whatever the case is, and takes every character as it is', () => {
    expect(find(parts, 'loss').found).toEqual([
      { part: 0, at: 0, length: 4 },
      { part: 0, at: 11, length: 4 },
      { part: 20, at: 0, length: 4 }
    ]);
    expect(find(parts, '(a)').found).toEqual([{ part: 0, at: 7, length: 3 }]);
    expect(find(parts, '').found).toEqual([]);
  });

  it('counts no more than help', () => {
    const long = [{ from: 0, to: 5000, text: 'a'.repeat(5000) }];
    const { found, more } = find(long, 'a');
    expect(found).toHaveLength(MOST_FOUND);
    expect(more).toBe(true);
  });

  it('stays at its place while the log grows, and begins at the newest', () => {
    const { found } = find(parts, 'loss');
    expect(keepPlace(found, null)).toBe(2);
    expect(keepPlace([...found, { part: 30, at: 0, length: 4 }], found[1])).toBe(1);
    expect(keepPlace([], found[1])).toBe(-1);
  });
});

describe('displayLog', () => {
  it('takes colours off', () => {
    expect(displayLog('\u001b[32mok\u001b[0m \u001b[1;31mno\u001b[m')).toBe('ok no');
  });

  it('lets a progress bar overwrite itself', () => {
    expect(displayLog('10%\r50%\r100%\r\ndone\r\n')).toBe('100%\ndone\n');
  });

  it('shows the last of an unfinished bar', () => {
    expect(displayLog('a\n10%\r50%\r')).toBe('a\n50%');
  });
});
