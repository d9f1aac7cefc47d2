/**
 * The composition root: makes the service that everything shown asks, and loads the windows when they are first opened.
 * Itself loaded when a command or a place first needs it.
 */

import { Dialog, type MainAreaWidget, showDialog } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IRunningSessions } from '@jupyterlab/running';
import type { IStateDB } from '@jupyterlab/statedb';
import type { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { UUID } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import { Api } from './core/api';
import { explain } from './core/errors';
import { CommandIDs, type IJobsService, type IOrigin } from './core/tokens';
import type { IJob, IPlatform } from './core/types';
import { findOrigin } from './features/kernel-state/origin';
import { addStatus } from './features/shell-integration/job-count';
import { runningItems } from './features/shell-integration/running-sessions';
import { JobsModel } from './services/jobs-model';
import { Memory } from './services/memory';
import { type About, Notifier } from './services/notifier';
import { OwnJobs } from './services/own-jobs';

export interface IJobsServiceOptions {
  serverSettings: ServerConnection.ISettings;
  contents: Contents.IManager;
  commands: CommandRegistry;
  trans: TranslationBundle;
  /** Of JupyterLab (BCP 47), in which the server answers. */
  language?: string;
  settings: Promise<ISettingRegistry.ISettings | null> | null;
  state: IStateDB | null;
  statusBar: IStatusBar | null;
  /** Ids that a former visit to the page left. */
  followed: Promise<string[]>;
}

/** Make the service once its settings, and what was followed before, are read. */
export async function createService(options: IJobsServiceOptions): Promise<IJobsService> {
  const { settings, followed } = options;
  return new JobsService(options, await settings, await followed);
}

/** The shared model, client and actions. */
class JobsService implements IJobsService {
  constructor(
    options: Omit<IJobsServiceOptions, 'settings' | 'followed'>,
    settings: ISettingRegistry.ISettings | null,
    followed: readonly string[]
  ) {
    this.trans = options.trans;
    this.commands = options.commands;
    this.contents = options.contents;
    this.api = new Api(options.serverSettings, options.language);
    this.model = new JobsModel(this.api);
    this.own = new OwnJobs(this.model);
    this._notifier = new Notifier(options.commands, options.trans);
    this.memory = new Memory(options.state);
    this._settings = settings;
    settings?.changed.connect(this._onSettings, this);
    this._onSettings();
    this.model.transition.connect((_, { job, before }) => {
      // A job that is new here was told when it was submitted, or before the page was reloaded.
      if (before && this.model.followed.has(job.id)) {
        this._notifier.changed(job);
      }
    });
    this.model.ended.connect((_, job) => {
      this._notifier.ended(job);
      this._remember();
    });
    if (options.statusBar) {
      addStatus(options.statusBar, this.own, this.commands, this.trans);
    }
    followed.forEach(id => this.model.follow(id));
    this.model.start();
  }

  readonly api: Api;
  readonly commands: CommandRegistry;
  readonly contents: Contents.IManager;
  readonly memory: Memory;
  readonly model: JobsModel;
  /** The person's own jobs that are not over. */
  readonly own: OwnJobs;
  readonly trans: TranslationBundle;

  /** What the caller may use, as it was last read. */
  get platform(): IPlatform | null {
    return this._platform;
  }

  /** Read what the caller may use, with what is free now. */
  async readPlatform(): Promise<IPlatform> {
    this._platform = await this.api.platform();
    this.model.platformPoll = this._platform.poll_interval;
    return this._platform;
  }

  /**
   * Open the dialog for a file, for the rest of a notebook, or for a folder; resolves when it is closed.
   *
   * @param again - Filled in as this job was.
   */
  async openSubmit(path: string, origin?: IOrigin, isFolder = false, again?: IJob): Promise<void> {
    const { openSubmitDialog } = await import('./features/submit/dialog');
    const job = await openSubmitDialog(this, path, origin, isFolder, again);
    if (job) {
      this._notifier.submitted(job);
      this.model.merge(job);
      this.model.follow(job.id);
      this._remember();
      if (this._showSubmitted) {
        void this.commands.execute(CommandIDs.openJobs, { id: job.id });
      }
    }
  }

  /** Open the dialog with the choices of a job, for its file or folder as it is now. */
  async openAgain(job: IJob): Promise<void> {
    const { folder, path } = job.work;
    const input = job.lab?.input;
    if (!input) {
      return;
    }
    // Below the folder the path is the same, wherever JupyterLab's root is.
    const inside = folder ? path.length - folder.length : 0;
    await this.openSubmit(input.slice(0, input.length - inside), undefined, !!folder, job);
  }

  /** Open the dialog for the rest of a notebook, from its active cell on, or say why that cannot be. */
  async runFromHere(panel?: NotebookPanel | null, cell?: HTMLElement | null): Promise<void> {
    const origin = await findOrigin(panel, cell, this.trans);
    if (panel && origin) {
      // A path of a real-time collaboration drive is still a file on the disk.
      await this.openSubmit(this.contents.localPath(panel.context.path), origin);
    }
  }

  /** Make the content of the jobs panel. */
  async createPanel(): Promise<Widget> {
    const { JobsPanel } = await import('./features/jobs-panel/panel');
    return new JobsPanel(this);
  }

  /** Make the tab of a job, or of the list where no job is given. */
  async createTab(job: string): Promise<MainAreaWidget> {
    return (await import('./features/shell-integration/tab')).createTab(this, job);
  }

  /** The person's jobs as the panel of running sessions lists them. */
  runningItems(): IRunningSessions.IRunningItem[] {
    return runningItems(this);
  }

  /** Cancel all of the person's own jobs; who calls this has asked already. */
  async cancelAll(): Promise<void> {
    await this._tell(this.trans.__('Not all jobs could be cancelled'), async () => {
      const ids = this.own.list.filter(job => job.actions.includes('cancel')).map(({ id }) => id);
      const done = await Promise.allSettled(ids.map(id => this.model.cancel(id)));
      const failed = done.find(each => each.status === 'rejected');
      if (failed) {
        throw failed.reason;
      }
    });
  }

  /** Cancel a job, after a question if the settings say so. */
  async cancel(id: string): Promise<void> {
    const trans = this.trans;
    const job = this.model.get(id);
    const name = job?.name ?? id;
    if (this._confirmCancel) {
      const answer = await showDialog({
        title: trans.__('Cancel “%1”?', name),
        body: job?.sweep
          ? trans.__(
              'Points that run are stopped, and those that wait do not start. The results of the others are kept.'
            )
          : trans.__('The job is stopped. What it has written so far is kept.'),
        buttons: [
          Dialog.cancelButton({ label: trans.__('Keep it') }),
          Dialog.warnButton({
            label: job?.sweep ? trans.__('Cancel the rest') : trans.__('Cancel the job')
          })
        ]
      });
      if (!answer.button.accept) {
        return;
      }
    }
    await this._tell(trans.__('The job could not be cancelled'), () => this.model.cancel(id));
  }

  /**
   * Submit a job again, with its inputs as they were.
   *
   * @param points - Of a sweep: `all`, `failed`, or numbers separated by commas.
   */
  async rerun(id: string, points?: string): Promise<IJob | null> {
    let again: IJob | null = null;
    await this._tell(this.trans.__('The job could not be run again'), async () => {
      again = await this.model.rerun(id, UUID.uuid4(), points);
      this._notifier.submitted(again);
      this._remember();
    });
    return again;
  }

  dispose(): void {
    this.own.dispose();
    this.model.dispose();
    Signal.clearData(this);
  }

  /** Do something, and tell in a dialog if it fails. */
  private async _tell(title: string, action: () => Promise<void>): Promise<void> {
    try {
      await action();
    } catch (error) {
      const problem = explain(error, this.trans);
      await showDialog({
        title,
        body: [problem.message, problem.hint].filter(Boolean).join(' '),
        buttons: [Dialog.okButton({ label: this.trans.__('Close') })]
      });
    }
  }

  private _remember(): void {
    this.memory.keepFollowed(this.model.followed);
  }

  private _onSettings(): void {
    const values = this._settings?.composite;
    this._notifier.about =
      values?.notifications === false ? 'none' : ((values?.notifyAbout as About) ?? 'all');
    this._showSubmitted = values?.showSubmitted === true;
    this.own.counting = values?.statusBar !== false;
    this._confirmCancel = values?.confirmCancel !== false;
    this.model.floor = typeof values?.pollFloor === 'number' ? values.pollFloor : 0;
  }

  private readonly _notifier: Notifier;
  private readonly _settings: ISettingRegistry.ISettings | null;
  private _confirmCancel = true;
  private _showSubmitted = false;
  private _platform: IPlatform | null = null;
}
