import { displayLog, LogFollower } from '../logs';
import { FakeServer, until } from './server';

const bytes = (text: string) => new TextEncoder().encode(text);

describe('LogFollower', () => {
  it('goes on where the stream broke off, in the middle of a character', async () => {
    const text = bytes('loss 1 — ok\n');
    const cut = 8; // Within the dash.
    const server = new FakeServer(({ query }) =>
      query.get('offset') === '-65536'
        ? {
            headers: { 'X-Log-Offset': '100' },
            parts: [text.slice(0, cut), new Error('connection lost')]
          }
        : { headers: { 'X-Log-Offset': query.get('offset') ?? '' }, parts: [text.slice(cut)] }
    );
    const follower = new LogFollower(server.api, 'a', 1);
    await follower.run();
    expect(server.log).toEqual([
      'GET jobs/a/logs?attempt=1&offset=-65536&follow=1',
      'GET jobs/a/logs?attempt=1&offset=108&follow=1'
    ]);
    expect(follower.text).toBe('loss 1 — ok\n');
    expect(follower.state).toBe('ended');
    expect(follower.truncated).toBe(true);
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
