/** One notification for each job that was submitted here, updated when it ends. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { CommandIDs } from './tokens';
import type { IJob } from './types';
import { detail, duration, outputAt } from './words';

/** The bell shows no more than this. */
const LONGEST = 140;

export class Notifier {
  constructor(
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {}

  /** Whether anything is told at all. */
  enabled = true;

  /** Tell that a job was accepted. */
  submitted(job: IJob): void {
    if (!this.enabled) {
      return;
    }
    const id = Notification.emit(
      shorten(this._trans.__('Submitted “%1”. %2', job.name, job.sentence)),
      'in-progress',
      { autoClose: 5000, actions: [this._showJobs(job)] }
    );
    this._shown.set(job.id, id);
  }

  /** Tell how a job ended. */
  ended(job: IJob): void {
    if (!this.enabled) {
      return;
    }
    const trans = this._trans;
    const output = job.lab?.output;
    const actions: Notification.IAction[] = [];
    if (output && !job.sweep && job.lab?.output_exists && job.state !== 'cancelled') {
      actions.push({
        label: trans.__('Open output'),
        displayType: 'accent',
        callback: () => void this._commands.execute(CommandIDs.openOutput, outputAt(output, job))
      });
    }
    actions.push(this._showJobs(job));

    let message: string;
    let type: Notification.TypeOptions;
    switch (job.state) {
      case 'succeeded':
        message =
          job.started && job.ended
            ? trans.__(
                '“%1” succeeded after %2.',
                job.name,
                duration((Date.parse(job.ended) - Date.parse(job.started)) / 1000, trans)
              )
            : trans.__('“%1” succeeded.', job.name);
        type = 'success';
        break;
      case 'cancelled':
        message = trans.__('“%1” was cancelled.', job.name);
        type = 'info';
        break;
      default: {
        const why = detail(job, trans);
        message = why
          ? trans.__('“%1” failed: %2.', job.name, why)
          : trans.__('“%1”: %2', job.name, job.sentence);
        type = 'error';
      }
    }
    const options = {
      actions,
      autoClose: job.state === 'failed' ? (false as const) : 10_000
    };
    const id = this._shown.get(job.id);
    this._shown.delete(job.id);
    if (id && Notification.manager.has(id)) {
      Notification.update({ id, message: shorten(message), type, ...options });
    } else {
      Notification.emit(shorten(message), type, options);
    }
  }

  private _showJobs(job: IJob): Notification.IAction {
    return {
      label: this._trans.__('Show jobs'),
      callback: () => void this._commands.execute(CommandIDs.openJobs, { id: job.id })
    };
  }

  private readonly _shown = new Map<string, string>();
}

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
