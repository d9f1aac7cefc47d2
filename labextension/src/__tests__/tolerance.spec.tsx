/** A page is older than the vkd behind it for months: words that it does not know are shown as they are. */

import { CommandRegistry } from '@lumino/commands';
import { Notification } from '@jupyterlab/apputils';
import { MessageLoop } from '@lumino/messaging';
import { Signal } from '@lumino/signaling';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { createRoot, type Root } from 'react-dom/client';

import { isFinal, stateWord } from '../core/status';
import type { IJobsService } from '../core/tokens';
import type { IJob, IPlatform, ISweepPoint } from '../core/types';
import { JobsContext } from '../core/ui/context';
import { Details } from '../features/job-details/details';
import { type IListState, JobsList } from '../features/jobs-panel/list';
import { createTab } from '../features/shell-integration/tab';
import { countWords } from '../features/shell-integration/job-count';
import { runningItems } from '../features/shell-integration/running-sessions';
import { Checks, Verdict } from '../features/submit/checks';
import { SubmitForm } from '../features/submit/form';
import { PointsTable } from '../features/sweep/points';
import { JobsModel } from '../services/jobs-model';
import { Notifier } from '../services/notifier';
import { OwnJobs } from '../services/own-jobs';
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

(globalThis as unknown as { IS_REACT_ACT_ENVIRONMENT: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
globalThis.ResizeObserver ??= class {
  observe() {}
  unobserve() {}
  disconnect() {}
} as unknown as typeof ResizeObserver;

const { act } = React;

/** A job of which nearly every word is new. */
const NEWER = {
  ...makeJob('newer', {
    state: 'suspended',
    cause: 'site_drained',
    sentence: 'Suspended until the site is back.',
    position: null,
    accelerator: 'qpu5',
    accelerator_title: 'A QPU',
    simulated: false,
    attempt: 1,
    started: '2026-11-23T10:01:00Z',
    actions: ['cancel', 'migrate'],
    work: {
      ...makeJob('x').work,
      kind: 'container',
      path: 'train.sif',
      parameters: { depth: { $decimal: '1.5' } }
    },
    values: { carbon: 12.5 },
    lab: { input: null, output: null, input_exists: false, output_exists: false }
  }),
  carbon: { grams: 12 },
  site: 'remote'
} as IJob;

const HISTORY = [
  { time: '2026-11-23T10:00:00Z', state: 'queued', cause: 'submitted', attempt: 0, message: '' },
  {
    time: '2026-11-23T10:01:00Z',
    state: 'suspended',
    cause: 'site_drained',
    attempt: 1,
    message: '',
    facts: { site: 'remote' }
  }
];

const CHECKS = [
  {
    what: 'licences',
    verdict: 'caution',
    sentence: 'Two licences are left.',
    hint: '',
    field: null
  },
  { what: 'site', verdict: 'ok', sentence: 'The site is up.', hint: '', field: 'site' }
];

function answer({ path, query }: { path: string; query: URLSearchParams }): Answer {
  switch (path) {
    case 'status':
      return { body: { ...STATUS, sites: ['remote'] } };
    case 'platform':
      return {
        body: {
          ...PLATFORM,
          sites: [],
          accelerators: PLATFORM.accelerators.map(each => ({ ...each, kind: 'qpu', qubits: 5 }))
        }
      };
    case 'jobs':
      return query.has('dry_run')
        ? { body: { sentence: 'Starts now.', ahead: 0, checks: CHECKS, carbon: 1 } }
        : {
            body: {
              jobs: query.has('since_revision') ? [] : [makeJob('known'), NEWER],
              next_cursor: null,
              revision: 10,
              active: 2,
              shards: 3
            }
          };
    case 'jobs/newer/events':
      return { body: HISTORY };
    case 'inspect':
      return { body: { ...NOTEBOOK, colour: 'blue' } };
    case 'check':
      return { body: { sentence: 'Starts now.', ahead: 0, problem: null, checks: CHECKS } };
    default:
      return { status: 404, body: { reason: 'gone', message: 'Gone.', hint: '', field: null } };
  }
}

describe('a job that is over', () => {
  it.each([
    ['suspended', false, null, false],
    ['archived', true, null, true],
    ['suspended', false, '2026-11-23T10:01:00Z', false],
    ['succeeded', undefined, '2026-11-23T10:01:00Z', true],
    ['running', undefined, null, false],
    ['archived', undefined, '2026-11-23T10:01:00Z', true]
  ])('is what vkd says is, whatever its state: %s, %s, %s', (state, final, ended, expected) => {
    expect(isFinal({ state, final, ended })).toBe(expected);
  });
});

describe('words of a newer vkd', () => {
  let box: HTMLElement;
  let root: Root;
  let server: FakeServer;
  let model: JobsModel;
  let own: OwnJobs;
  let service: IJobsService;
  let told: jest.SpyInstance;

  beforeEach(() => {
    // What React says about a broken list, e.g. two rows of one key.
    told = jest.spyOn(console, 'error');
    box = document.createElement('div');
    document.body.append(box);
    root = createRoot(box);
    server = new FakeServer(answer);
    model = new JobsModel(server.api);
    own = new OwnJobs(model);
    service = {
      api: server.api,
      commands: new CommandRegistry(),
      model,
      own,
      platform: PLATFORM as IPlatform,
      readPlatform: () => server.api.platform(),
      trans
    } as unknown as IJobsService;
  });

  afterEach(() => {
    act(() => root.unmount());
    box.remove();
    own.dispose();
    model.dispose();
    const said = told.mock.calls.map(String);
    told.mockRestore();
    expect(said).toEqual([]);
  });

  const draw = (node: React.ReactNode) =>
    act(async () => {
      root.render(<JobsContext.Provider value={service}>{node}</JobsContext.Provider>);
    });

  it('leave the list whole, and stand in it as they are', async () => {
    model.start();
    await model.refresh();
    const state = { open: null, reveal: () => undefined } as unknown as IListState;
    Object.assign(state, { opened: new Signal(state) });
    await draw(<JobsList state={state} />);
    const rows = [...box.querySelectorAll('.aiinfn-Row')].map(row => row.textContent);
    expect(rows).toHaveLength(2);
    expect(rows.find(row => row?.includes('newer'))).toMatch(/suspended.*site_drained.*A QPU/);
    expect(model.error).toBeNull();
    await act(() => model.setFilter('active'));
    expect(model.list().map(job => job.id)).toContain('newer');
    await act(() => model.setFilter('succeeded'));
    expect(model.list()).toEqual([]);
  });

  it('leave an opened job whole', async () => {
    await draw(<Details id="d" job={NEWER} now={Date.now()} onReveal={() => undefined} />);
    await act(async () => until(() => box.querySelectorAll('.aiinfn-History li').length === 2));
    const text = box.textContent ?? '';
    expect(text).toContain('Suspended until the site is back.');
    expect(text).toContain('train.sif (container)');
    expect(text).toContain("{'$decimal': '1.5'}");
    expect(text).toContain('carbon');
    expect(box.querySelector('.aiinfn-History')?.textContent).toContain('suspended');
  });

  it('leave a tab whole', async () => {
    model.merge(NEWER);
    const tab = createTab(service, 'newer');
    await act(async () => {
      Widget.attach(tab, document.body);
      MessageLoop.flush();
    });
    await act(async () => until(() => !!tab.content.node.querySelector('header')));
    expect(tab.content.node.querySelector('header')?.textContent).toContain('suspended');
    act(() => tab.dispose());
  });

  it('are counted and listed among what is not over', async () => {
    model.merge(NEWER);
    expect(own.list.map(job => job.id)).toEqual(['newer']);
    expect(countWords(own.list, trans)).toBe('1 running');
    expect(runningItems(service)[0].detail?.()).toBe('suspended: site_drained');
    // With an end it is over, whatever it is called.
    model.merge({ ...NEWER, state: 'archived', ended: '2026-11-23T11:00:00Z' });
    expect(own.list).toEqual([]);
  });

  it('are told in a notification', () => {
    const notifier = new Notifier(new CommandRegistry(), trans);
    const emit = jest.spyOn(Notification, 'emit');
    notifier.submitted(NEWER);
    notifier.changed(NEWER);
    expect(Notification.manager.notifications[0].message).toBe(
      '“newer.ipynb”: Suspended until the site is back.'
    );
    notifier.ended({ ...NEWER, state: 'archived', sentence: 'Archived.', ended: NEWER.updated });
    expect(Notification.manager.notifications[0]).toMatchObject({
      message: '“newer.ipynb”: Archived.',
      type: 'info'
    });
    emit.mockRestore();
    Notification.manager.dismiss();
  });

  it('leave the dialog whole; a check and a verdict are shown by their sentences', async () => {
    const form = new SubmitForm({
      api: server.api,
      contents: null as never,
      trans,
      path: 'a.ipynb',
      readPlatform: () => server.api.platform()
    });
    await form.load();
    await form.checker.ask();
    expect(form.fatal).toBeNull();
    // The first answer told them with those of the file, the second one with those of the platform.
    form.select({ size: 'small' });
    await form.checker.ask();
    expect(form.checker.checks.map(({ what }) => what)).toEqual(['licences', 'site']);
    expect(form.canSubmit).toBe(true);
    await draw(
      <>
        <Checks form={form} notes={form.notes} />
        <Verdict form={form} />
      </>
    );
    expect(box.querySelector('li.aiinfn-mod-notice')?.textContent).toContain(
      'Two licences are left.'
    );
    expect(box.textContent).toContain('Starts now.');
    form.dispose();
  });

  it('leave the table of a sweep whole', async () => {
    const point = {
      point: 1,
      job: 'p1',
      state: 'suspended',
      sentence: 'Suspended.',
      parameters: { lr: { $decimal: '0.1' } },
      values: {},
      attempt: 1,
      started: '2026-11-23T10:00:00Z',
      ended: '2026-11-23T10:05:00Z',
      output: 'o',
      carried: false,
      lab_output: null,
      carbon: 3
    } as ISweepPoint;
    const other = { ...point, point: 2, job: 'p2', state: 'failed' };
    await draw(
      <PointsTable
        id="s"
        name="s"
        mayRerun={false}
        points={[point, other]}
        onReveal={() => undefined}
      />
    );
    const cells = [...box.querySelectorAll('.aiinfn-State')].map(cell => cell.textContent?.trim());
    expect(cells).toEqual(['suspended', 'Failed']);
    expect(box.textContent).toContain('5 min');
  });

  it.each(['suspended', 'archived'])('say %s', state => {
    expect(stateWord(state, trans)).toBe(state);
  });
});

describe('a long list', () => {
  it('draws what is in sight, and keeps what is open or has the focus', async () => {
    const jobs = Array.from({ length: 3025 }, (_, index) =>
      makeJob(`job-${index}`, {
        state: 'succeeded',
        created: new Date(Date.UTC(2026, 10, 23) - index * 60_000).toISOString(),
        ended: '2026-11-23T11:00:00Z'
      })
    );
    const server = new FakeServer(({ path }) =>
      path === 'status'
        ? { body: STATUS }
        : path.endsWith('/events')
          ? { body: [] }
          : { body: { jobs, next_cursor: null, revision: 10, active: 0 } }
    );
    const model = new JobsModel(server.api);
    model.start();
    await model.refresh();
    const box = document.createElement('div');
    document.body.append(box);
    const root = createRoot(box);
    const service = {
      api: server.api,
      commands: new CommandRegistry(),
      model,
      platform: PLATFORM,
      trans
    } as unknown as IJobsService;
    const state = { open: 'job-2000', reveal: () => undefined } as unknown as IListState;
    Object.assign(state, { opened: new Signal(state) });
    await act(async () =>
      root.render(
        <JobsContext.Provider value={service}>
          <JobsList state={state} />
        </JobsContext.Provider>
      )
    );
    const drawn = () =>
      [...box.querySelectorAll<HTMLElement>('.aiinfn-Row')].map(row => row.dataset.job);
    expect(drawn().length).toBeLessThan(100);
    expect(drawn()).toContain('job-0');
    expect(drawn()).toContain('job-2000');
    expect(box.querySelector('[data-job="job-2000"]')?.getAttribute('aria-posinset')).toBe('2001');
    const scroll = box.querySelector<HTMLElement>('.aiinfn-Scroll');
    box.querySelector<HTMLElement>('[data-job="job-3"] button')?.focus();
    await act(async () => {
      if (scroll) {
        scroll.scrollTop = 47 * 1000;
        scroll.dispatchEvent(new Event('scroll'));
      }
    });
    expect(drawn()).toContain('job-1000');
    expect(drawn()).toContain('job-3');
    expect(drawn()).toContain('job-2000');
    expect(drawn()).not.toContain('job-0');
    await act(async () => root.unmount());
    model.dispose();
    box.remove();
  });
});
