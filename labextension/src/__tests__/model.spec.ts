import { ApiError } from '../core/api';
import type { IJob, IJobPage } from '../core/types';
import { JobsModel } from '../services/jobs-model';
import { type Answer, FakeServer, makeJob, STATUS, until } from './server';

function page(jobs: IJob[], more: Partial<IJobPage> = {}): Answer {
  const active = jobs.filter(job => !['succeeded', 'failed', 'cancelled'].includes(job.state));
  return { body: { jobs, next_cursor: null, revision: 10, active: active.length, ...more } };
}

describe('JobsModel', () => {
  let server: FakeServer;
  let model: JobsModel;
  let lists: (Answer | ((since: string | null) => Answer))[];

  beforeEach(() => {
    lists = [];
    server = new FakeServer(({ path, query }) => {
      if (path === 'status') {
        return { body: STATUS };
      }
      const next = lists.length > 1 ? lists.shift() : lists[0];
      return typeof next === 'function' ? next(query.get('since_revision')) : (next ?? page([]));
    });
    model = new JobsModel(server.api);
    model.setVisible(true);
  });

  afterEach(() => model.dispose());

  it('lists the first page, newest first', async () => {
    lists = [
      page([
        makeJob('old', { created: '2026-11-23T09:00:00Z' }),
        makeJob('new', { created: '2026-11-23T11:00:00Z' })
      ])
    ];
    await model.refresh();
    expect(model.list().map(job => job.id)).toEqual(['new', 'old']);
    expect(model.loaded).toBe(true);
    expect(model.active).toBe(2);
  });

  it('then asks only for what changed, and merges it', async () => {
    lists = [
      page([makeJob('a'), makeJob('b')]),
      page([makeJob('a', { state: 'running', updated: '2026-11-23T10:01:00Z' })], {
        revision: 11
      })
    ];
    const seen: string[] = [];
    model.transition.connect((_, { job, before }) => {
      seen.push(`${job.id}: ${before} -> ${job.state}`);
    });
    await model.refresh();
    await model.refresh();
    expect(server.log.filter(line => line.includes('since_revision'))[0]).toContain(
      'since_revision=10'
    );
    expect(model.get('a')?.state).toBe('running');
    expect(model.get('b')?.state).toBe('queued');
    expect(seen).toContain('a: queued -> running');
  });

  it('never goes back to an older state of a job', async () => {
    lists = [page([makeJob('a', { state: 'running', updated: '2026-11-23T10:05:00Z' })])];
    await model.refresh();
    model.merge(makeJob('a', { state: 'queued', updated: '2026-11-23T10:04:00Z' }));
    expect(model.get('a')?.state).toBe('running');
    // The server leaves out fractions that are zero.
    model.merge(makeJob('a', { state: 'succeeded', updated: '2026-11-23T10:05:00.250Z' }));
    expect(model.get('a')?.state).toBe('succeeded');
  });

  it('starts over when the store was replaced', async () => {
    lists = [page([makeJob('a')]), page([], { revision: 2 }), page([makeJob('z')])];
    await model.refresh();
    await model.refresh();
    expect(model.list().map(job => job.id)).toEqual(['z']);
  });

  it('revalidates an unchanged list by its ETag', async () => {
    lists = [
      page([makeJob('a')]),
      { ...page([]), headers: { ETag: '"e1"' } },
      { status: 304 },
      { status: 304 }
    ];
    await model.refresh();
    await model.refresh();
    await model.refresh();
    const last = server.requests[server.requests.length - 1];
    expect(last.headers.get('If-None-Match')).toBe('"e1"');
    expect(model.list()).toHaveLength(1);
    expect(model.error).toBeNull();
  });

  it('keeps the list and says what is wrong while vkd is down, then recovers', async () => {
    const problem = { reason: 'unavailable', message: 'vkd is down.', hint: '', field: null };
    lists = [page([makeJob('a')]), { status: 503, body: problem }];
    await model.refresh();
    await model.refresh();
    expect(model.error).toBeInstanceOf(ApiError);
    expect((model.error as ApiError).problem.message).toBe('vkd is down.');
    expect(model.list()).toHaveLength(1);
    lists = [page([])];
    await model.refresh();
    expect(model.error).toBeNull();
  });

  it('tells a missing server half from a missing job', async () => {
    server.answer = () => ({ status: 404, body: 'Not found' });
    await model.refresh();
    expect((model.error as ApiError).kind).toBe('server-missing');
  });

  it('polls often while jobs are active, seldom otherwise, and never below the floor', async () => {
    lists = [page([makeJob('a')])];
    await model.refresh();
    expect(model.interval).toBe(2);
    model.platformPoll = 3;
    expect(model.interval).toBe(3);
    model.floor = 5;
    expect(model.interval).toBe(5);
    lists = [page([], { active: 0, revision: 12 })];
    await model.refresh();
    expect(model.interval).toBe(10);
    model.setVisible(false);
    expect(model.interval).toBe(15);
  });

  it('asks for a followed job after a tenth of its age while nobody looks', async () => {
    const aged = (seconds: number) =>
      makeJob('a', { created: new Date(Date.now() - seconds * 1000).toISOString() });
    lists = [page([aged(1)])];
    await model.refresh();
    model.setVisible(false);
    expect(model.interval).toBe(15);
    model.follow('a');
    expect(model.interval).toBe(2);
    model.merge({ ...aged(60), updated: new Date().toISOString() });
    expect(model.interval).toBeCloseTo(6, 0);
    model.merge({ ...aged(3600), updated: new Date().toISOString() });
    expect(model.interval).toBe(15);
  });

  it('tells the end of a followed job once', async () => {
    lists = [page([makeJob('a')])];
    const ended: string[] = [];
    model.ended.connect((_, job) => void ended.push(`${job.id} ${job.state}`));
    model.follow('a');
    await model.refresh();
    expect(ended).toEqual([]);
    const done = makeJob('a', { state: 'failed', updated: '2026-11-23T10:09:00Z' });
    lists = [page([done], { revision: 13 })];
    await model.refresh();
    await model.refresh();
    expect(ended).toEqual(['a failed']);
    expect(model.followed.size).toBe(0);
  });

  it('looks up followed jobs that are on no page, and forgets those that are gone', async () => {
    server.answer = ({ path }) => {
      switch (path) {
        case 'status':
          return { body: STATUS };
        case 'jobs/away':
          return { body: makeJob('away', { state: 'succeeded' }) };
        case 'jobs/gone':
          return {
            status: 404,
            body: { reason: 'not_found', message: 'No such job.', hint: '', field: null }
          };
        default:
          return page([]);
      }
    };
    const ended: string[] = [];
    model.ended.connect((_, job) => void ended.push(job.id));
    model.follow('away');
    model.follow('gone');
    await model.refresh();
    await until(() => model.followed.size === 0);
    expect(ended).toEqual(['away']);
  });

  it('filters by state and pages within the filter', async () => {
    lists = [
      page([makeJob('a'), makeJob('b', { state: 'failed' })], { next_cursor: 'c1' }),
      page([makeJob('c', { state: 'failed', created: '2026-11-22T10:00:00Z' })], {
        next_cursor: null
      })
    ];
    await model.refresh();
    expect(model.hasMore).toBe(true);
    await model.setFilter('failed');
    expect(server.log[server.log.length - 1]).toContain('state=failed');
    expect(model.list().map(job => job.id)).toEqual(['b', 'c']);
    expect(model.hasMore).toBe(false);
  });

  it('searches the whole history, and goes on while little is found', async () => {
    const found = makeJob('old', { name: 'Needle', created: '2026-01-02T10:00:00Z' });
    lists = [
      page([makeJob('a'), makeJob('b')], { next_cursor: 'n9' }),
      page([], { next_cursor: 'n5', searched_to: '2026-05-01T00:00:00Z' }),
      page([found], { next_cursor: null })
    ];
    await model.refresh();
    await model.setSearch('needle label:x');
    expect(server.log.slice(-2)[0]).toContain('label=x&search=needle&limit=25');
    expect(server.log.slice(-1)[0]).toContain('cursor=n5');
    expect(model.list()).toEqual([]);
    await model.setSearch('needle');
    expect(model.list().map(job => job.id)).toEqual(['old']);
    await model.setSearch('');
    expect(model.list().map(job => job.id)).toEqual(['a', 'b'].reverse());
  });

  it('does not show what lies behind the last page, except what is asked for', async () => {
    lists = [
      page([makeJob('new')], { next_cursor: 'n9' }),
      page([makeJob('bad', { state: 'failed', created: '2026-01-01T10:00:00Z' })])
    ];
    await model.refresh();
    await model.setFilter('failed');
    expect(model.list().map(job => job.id)).toEqual(['bad']);
    await model.setFilter('all');
    expect(model.list().map(job => job.id)).toEqual(['new']);
    await model.reveal('bad');
    expect(model.list().map(job => job.id)).toEqual(['new', 'bad']);
  });

  it('forgets what was deleted, here or elsewhere, and starts over if that is too much', async () => {
    lists = [
      page([makeJob('a'), makeJob('b')]),
      page([], { deleted: ['a'], revision: 11 }),
      page([], { deleted: null, revision: 12 }),
      page([makeJob('z')])
    ];
    await model.refresh();
    await model.refresh();
    expect(model.list().map(job => job.id)).toEqual(['b']);
    await model.refresh();
    expect(model.list().map(job => job.id)).toEqual(['z']);
  });

  it('sends one request for many jobs, and more than one only for very many', async () => {
    lists = [page([makeJob('a'), makeJob('b')])];
    await model.refresh();
    server.answer = ({ path, body }) => {
      if (path !== 'jobs/bulk') {
        return page([]);
      }
      const { ids } = JSON.parse(body) as { ids: string[] };
      return { body: { results: ids.map(id => ({ id, job: null, problem: null })) } };
    };
    await model.bulk('delete', ['a'], 'k');
    expect(model.list().map(job => job.id)).toEqual(['b']);
    const before = server.requests.filter(one => one.path === 'jobs/bulk').length;
    const many = Array.from({ length: 1100 }, (_, index) => `j${index}`);
    expect(await model.bulk('cancel', many, 'k')).toHaveLength(1100);
    expect(server.requests.filter(one => one.path === 'jobs/bulk').length - before).toBe(3);
  });
});
