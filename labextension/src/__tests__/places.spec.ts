import type { JupyterFrontEnd } from '@jupyterlab/application';
import { PageConfig } from '@jupyterlab/coreutils';
import { RunningSessionManagers } from '@jupyterlab/running';
import type { IStatusBar } from '@jupyterlab/statusbar';
import { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';

import type { IJobs, IJobsService } from '../core/tokens';
import type { IJob } from '../core/types';
import { addStatus, countWords } from '../features/shell-integration/job-count';
import { places } from '../features/shell-integration/plugin';
import { runningItems } from '../features/shell-integration/running-sessions';
import { JobsModel } from '../services/jobs-model';
import { OwnJobs } from '../services/own-jobs';
import { FakeServer, makeJob, STATUS, trans, until } from './server';

const FIRST = makeJob('first', { state: 'running', created: '2026-11-23T09:00:00Z' });
const SECOND = makeJob('second', { created: '2026-11-23T10:00:00Z', position: 3 });
const OVER = makeJob('over', { state: 'succeeded' });
const OTHERS = makeJob('others', { owner: 'bruno', state: 'running' });

/** A model over these jobs, of which a first page has only so many. */
function makeModel(jobs: IJob[], first = jobs.length) {
  const active = jobs.filter(job => job.state !== 'succeeded');
  const server = new FakeServer(({ path, query }) => {
    if (path === 'status') {
      return { body: STATUS };
    }
    if (query.has('since_revision')) {
      return { body: { jobs: [], next_cursor: null, revision: 10, active: active.length } };
    }
    const found = query.has('state') ? active : jobs.slice(0, first);
    return { body: { jobs: found, next_cursor: null, revision: 10, active: active.length } };
  });
  const model = new JobsModel(server.api);
  model.start();
  return { model, server };
}

describe('countWords', () => {
  it.each<[IJob[], string]>([
    [[], ''],
    [[FIRST], '1 running'],
    [[SECOND], '1 waiting'],
    [[FIRST, makeJob('x', { state: 'starting' }), SECOND], '2 running, 1 waiting']
  ])('says it in words', (jobs, words) => expect(countWords(jobs, trans)).toBe(words));
});

describe('the jobs of a person', () => {
  let model: JobsModel;
  let own: OwnJobs;

  beforeEach(() => PageConfig.setOption('hubUser', 'ada'));

  afterEach(() => {
    own.dispose();
    model.dispose();
    PageConfig.setOption('hubUser', '');
  });

  it('are those that are not over, and nobody else’s; what runs goes first', async () => {
    ({ model } = makeModel([OTHERS, SECOND, OVER, FIRST]));
    own = new OwnJobs(model);
    expect(own.list).toEqual([]);
    await model.refresh();
    expect(own.list.map(job => job.id)).toEqual(['first', 'second']);
  });

  it('are all counted, also those that the first page does not have', async () => {
    const { model: made, server } = makeModel([OVER, FIRST, SECOND], 1);
    model = made;
    own = new OwnJobs(model);
    await model.refresh();
    await until(() => own.list.length === 2);
    expect(server.log.filter(line => line.includes('state=queued'))).toHaveLength(1);
  });

  it('stand in the status bar while there are any', async () => {
    ({ model } = makeModel([FIRST, SECOND]));
    own = new OwnJobs(model);
    own.counting = true;
    const commands = new CommandRegistry();
    let shown = 0;
    commands.addCommand('aiinfn:open-jobs', { describedBy: { args: {} }, execute: () => shown++ });
    let item: IStatusBar.IItem | undefined;
    const bar = { registerStatusItem: (_: string, given: IStatusBar.IItem) => (item = given) };
    addStatus(bar as unknown as IStatusBar, own, commands, trans);
    expect(item?.isActive?.()).toBe(false);
    await model.refresh();
    expect(item?.isActive?.()).toBe(true);
    expect(item?.item.node.textContent).toBe('1 running, 1 waiting');
    item?.item.node.querySelector('button')?.click();
    expect(shown).toBe(1);
    own.counting = false;
    expect(item?.isActive?.()).toBe(false);
  });

  it('are listed among what runs, with what they do and what can be done', async () => {
    ({ model } = makeModel([
      { ...FIRST, actions: ['cancel'] },
      { ...SECOND, actions: [] }
    ]));
    own = new OwnJobs(model);
    await model.refresh();
    const cancelled: string[] = [];
    const opened: unknown[] = [];
    const commands = new CommandRegistry();
    commands.addCommand('aiinfn:open-jobs', {
      describedBy: { args: {} },
      execute: ({ id }) => opened.push(id)
    });
    const service = { commands, own, trans, cancel: async (id: string) => cancelled.push(id) };
    const [first, second] = runningItems(service as unknown as IJobsService);
    expect([first.label(), first.detail?.()]).toEqual([FIRST.name, 'Running']);
    expect(second.detail?.()).toBe('Waiting: no. 3 in line');
    first.shutdown?.();
    expect(second.shutdown).toBeUndefined();
    second.open?.();
    expect([cancelled, opened]).toEqual([['first'], ['second']]);
  });
});

describe('the places', () => {
  it('load nothing until somebody looks', async () => {
    const managers = new RunningSessionManagers();
    let loaded = 0;
    const { model } = makeModel([FIRST]);
    const own = new OwnJobs(model);
    const load = async () => {
      loaded++;
      return { own, runningItems: () => own.list.map(job => job.id) };
    };
    const app = {
      commands: new CommandRegistry(),
      shell: {},
      restored: Promise.resolve()
    } as unknown as JupyterFrontEnd;
    const cards: unknown[] = [];
    const launcher = { add: (card: unknown) => cards.push(card) };
    void places.activate(app, { load } as unknown as IJobs, launcher, managers, null, null);
    expect(cards).toHaveLength(2);
    const [manager] = managers.items();
    const panel = new Widget();
    panel.addClass('jp-RunningSessions');
    // jsdom lays nothing out.
    let seen: Element | null = null;
    Object.defineProperty(panel.node, 'offsetParent', { get: () => seen });
    Widget.attach(panel, document.body);

    expect(manager.running({ mode: 'list' })).toEqual([]);
    await new Promise(resolve => setTimeout(resolve, 20));
    expect(loaded).toBe(0);

    seen = document.body;
    let changes = 0;
    manager.runningChanged.connect(() => changes++);
    expect(manager.running({ mode: 'list' })).toEqual([]);
    await until(() => changes > 0 && manager.running({ mode: 'list' }).length === 1);
    expect(loaded).toBe(1);
    panel.dispose();
    own.dispose();
    model.dispose();
  });
});
