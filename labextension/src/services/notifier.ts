/** One notification for each job that was submitted here, updated as the job goes on. */

import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';

import { duration } from '../core/format';
import { detail, isFinal, outputAt } from '../core/status';
import { CommandIDs } from '../core/tokens';
import type { IJob } from '../core/types';

/** The bell shows no more than this. */
const LONGEST = 140;
/** JupyterLab's value for: only in the bell's list. */
const SILENT = 0;

/** Of what people want to be told. */
export type About = 'all' | 'ends' | 'failures' | 'none';

export class Notifier {
  constructor(
    private readonly _commands: CommandRegistry,
    private readonly _trans: TranslationBundle
  ) {}

  /** What is told. */
  about: About = 'all';

  /** Tell that a job was accepted. */
  submitted(job: IJob): void {
    if (this.about !== 'all') {
      return;
    }
    const id = Notification.emit(
      shorten(this._trans.__('Submitted “%1”. %2', job.name, job.sentence)),
      'in-progress',
      { autoClose: 5000, actions: [this._showJobs(job)] }
    );
    this._shown.set(job.id, id);
  }

  /**
   * Tell a change of state before the end.
   *
   * That a job starts or runs changes the notification in the bell's list and disturbs nobody; one that the person
   * dismissed, or that a reload of the page took away, does not come back for it. That a job waits again is told once.
   */
  changed(job: IJob): void {
    if (this.about !== 'all' || isFinal(job)) {
      return;
    }
    const trans = this._trans;
    const waits = job.state === 'queued';
    const message =
      job.state === 'running'
        ? trans.__('“%1” is running.', job.name)
        : job.state === 'starting'
          ? trans.__('“%1” is starting.', job.name)
          : trans.__('“%1”: %2', job.name, job.sentence);
    // Points of a sweep come and go; the sweep as a whole waits now and then.
    const loud = waits && !job.sweep && !this._interrupted.has(job.id);
    if (waits) {
      this._interrupted.add(job.id);
    }
    const options = { autoClose: loud ? 8000 : SILENT, actions: [this._showJobs(job)] };
    const id = this._current(job);
    if (id) {
      Notification.update({ id, message: shorten(message), type: 'in-progress', ...options });
    } else if (loud) {
      this._shown.set(job.id, Notification.emit(shorten(message), 'in-progress', options));
    }
  }

  /** Tell how a job ended. */
  ended(job: IJob): void {
    const id = this._current(job);
    this._shown.delete(job.id);
    this._interrupted.delete(job.id);
    if (this.about === 'none' || (this.about === 'failures' && job.state !== 'failed')) {
      // It would say for ever that the job goes on.
      if (id) {
        Notification.dismiss(id);
      }
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
      case 'failed': {
        const why = detail(job, trans);
        message = why
          ? trans.__('“%1” failed: %2.', job.name, why)
          : trans.__('“%1”: %2', job.name, job.sentence);
        type = 'error';
        break;
      }
      default:
        message = trans.__('“%1”: %2', job.name, job.sentence);
        type = 'info';
    }
    const options = {
      actions,
      autoClose: job.state === 'failed' ? (false as const) : 10_000
    };
    if (id) {
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

  /** The notification of a job that is still in the bell's list. */
  private _current(job: IJob): string | undefined {
    const id = this._shown.get(job.id);
    return id && Notification.manager.has(id) ? id : undefined;
  }

  /** Jobs of which was told that they wait again. */
  private readonly _interrupted = new Set<string>();
  private readonly _shown = new Map<string, string>();
}

function shorten(text: string): string {
  return text.length > LONGEST ? `${text.slice(0, LONGEST - 1)}…` : text;
}
