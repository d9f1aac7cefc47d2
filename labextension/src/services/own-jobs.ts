/** The person's own jobs that are not over, for the places that count or list them. */

import { PageConfig } from '@jupyterlab/coreutils';
import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';

import { isFinal } from '../core/status';
import type { IOwnJobs } from '../core/tokens';
import type { IJob } from '../core/types';
import type { JobsModel } from './jobs-model';

/** Milliseconds for which a list that was read is good enough for a place that is shown now. */
const FRESH = 5000;

/** What is the same for everybody who looks: a manager's list has the jobs of others, too. */
export class OwnJobs implements IOwnJobs, IDisposable {
  constructor(private readonly _model: JobsModel) {
    _model.changed.connect(this._look, this);
    this._look();
  }

  /** Emitted when anything of them may have changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** The jobs, what runs first, then by their age. */
  get list(): readonly IJob[] {
    return this._list;
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Whether they are counted while nobody looks; the status bar shows the count. */
  get counting(): boolean {
    return this._model.counting;
  }

  set counting(counting: boolean) {
    this._model.counting = counting;
    this._changed.emit();
  }

  /** Read the list if it is old; for a place that begins to be seen. */
  refresh(fresh = FRESH): void {
    if (Date.now() - (this._model.readAt ?? 0) > fresh) {
      void this._model.refresh();
    }
  }

  dispose(): void {
    if (!this._isDisposed) {
      this._isDisposed = true;
      this._model.changed.disconnect(this._look, this);
      Signal.clearData(this);
    }
  }

  private _look(): void {
    const active = [...this._model.known()].filter(job => !isFinal(job));
    // Pages begin with the newest: an old one that still runs may be on none of them yet.
    if (this._model.active > active.length && !this._completing) {
      this._completing = true;
      void this._model
        .completeActive()
        .catch(() => undefined)
        .finally(() => (this._completing = false));
    }
    const person = PageConfig.getOption('hubUser');
    this._list = active
      .filter(job => !person || job.owner === person)
      .sort(
        (a, b) =>
          Number(waits(a)) - Number(waits(b)) || Date.parse(a.created) - Date.parse(b.created)
      );
    this._changed.emit();
  }

  private readonly _changed = new Signal<this, void>(this);
  private _list: IJob[] = [];
  private _completing = false;
  private _isDisposed = false;
}

/** Whether nothing of a job runs yet. */
export function waits(job: IJob): boolean {
  return job.state === 'queued';
}
