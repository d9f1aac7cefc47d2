/** What is behind the commands and the panel; loaded when it is first needed. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { Contents, ServerConnection } from '@jupyterlab/services';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import type { IStateDB } from '@jupyterlab/statedb';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { UUID } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';
import type { Widget } from '@lumino/widgets';

import { Api } from './api';
import type { IOrigin } from './carry/state';
import { JobsModel } from './model';
import { Notifier } from './notifier';
import type { IJob, IPlatform } from './types';
import { explain } from './words';

/** Key of the ids of jobs whose end is still to be told, in the state database. */
export const FOLLOWED_KEY = 'aiinfn:followed';

export interface IRuntimeOptions {
  serverSettings: ServerConnection.ISettings;
  contents: Contents.IManager;
  commands: CommandRegistry;
  trans: TranslationBundle;
  settings: ISettingRegistry.ISettings | null;
  state: IStateDB | null;
  /** Ids that a former visit to the page left. */
  followed: string[];
}

/** The shared model, client and actions. */
export class Runtime {
  constructor(options: IRuntimeOptions) {
    this.trans = options.trans;
    this.commands = options.commands;
    this.contents = options.contents;
    this.api = new Api(options.serverSettings);
    this.model = new JobsModel(this.api);
    this._notifier = new Notifier(options.commands, options.trans);
    this._state = options.state;
    this._settings = options.settings;
    options.settings?.changed.connect(this._onSettings, this);
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
    options.followed.forEach(id => this.model.follow(id));
    this.model.start();
  }

  readonly api: Api;
  readonly commands: CommandRegistry;
  readonly contents: Contents.IManager;
  readonly model: JobsModel;
  readonly trans: TranslationBundle;

  /** What the caller may use, as it was last read. */
  get platform(): IPlatform | null {
    return this._platform;
  }

  /** Read what the caller may use, with what is free now. */
  async readPlatform(): Promise<IPlatform> {
    this._platform = await this.api.platform();
    this.model.platformPoll = this._platform.poll_seconds;
    return this._platform;
  }

  /** Open the dialog for a file, or for the rest of a notebook; resolves when it is closed. */
  async openSubmit(path: string, origin?: IOrigin): Promise<void> {
    const { openSubmitDialog } = await import('./submit/dialog');
    const job = await openSubmitDialog(this, path, origin);
    if (job) {
      this._notifier.submitted(job);
      this.model.merge(job);
      this.model.follow(job.id);
      this._remember();
    }
  }

  /** Make the content of the jobs panel. */
  async createPanel(): Promise<Widget> {
    const { JobsPanel } = await import('./panel/panel');
    return new JobsPanel(this);
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
    void this._state
      ?.save(FOLLOWED_KEY, [...this.model.followed])
      .catch(error => console.warn('Followed jobs were not remembered', error));
  }

  private _onSettings(): void {
    const values = this._settings?.composite;
    this._notifier.enabled = values?.notifications !== false;
    this._confirmCancel = values?.confirmCancel !== false;
    this.model.floor = typeof values?.pollFloor === 'number' ? values.pollFloor : 0;
  }

  private readonly _notifier: Notifier;
  private readonly _settings: ISettingRegistry.ISettings | null;
  private readonly _state: IStateDB | null;
  private _confirmCancel = true;
  private _platform: IPlatform | null = null;
}
