/** The jobs, kept up to date: when they are read, who is told of changes, what is done with them; no React, no DOM. */

import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { type Api, ApiError } from '../core/api';
import { type Filter, isFinal } from '../core/status';
import type { IJobsModel, ITransition, IWhose } from '../core/tokens';
import type { BulkAction, IBulkResult, IJob, IJobChange, IStatus } from '../core/types';
import { JobList } from './job-list';
import { JobReader, PAGE } from './job-reader';

/** Jobs fetched at once by whoever wants more. */
const MORE = 100;
/** Jobs that one request may be about. */
const MOST_TOGETHER = 500;
/** Seconds between two readings. */
const BUSY = 2;
const QUIET = 10;
const BACKGROUND = 15;
const SLOWEST = 30;

/** Jobs of the signed-in person, and of their projects for a manager. */
export class JobsModel implements IJobsModel, IDisposable {
  constructor(private readonly _api: Api) {
    this._reader = new JobReader(_api, this._list, ids => this._forget(ids));
    this._poll = new Poll<void, unknown>({
      auto: false,
      name: '@aiinfn/labextension:jobs',
      factory: () => this._tick(),
      frequency: { interval: QUIET * 1000, backoff: true, max: SLOWEST * 1000 },
      standby: () => (this._wanted ? 'when-hidden' : true)
    });
  }

  /** Emitted when anything that is shown may have changed. */
  get changed(): ISignal<this, void> {
    return this._changed;
  }

  /** Emitted for each change of a job's state that was noticed. */
  get transition(): ISignal<this, ITransition> {
    return this._transition;
  }

  /** Whether a first page has arrived. */
  get loaded(): boolean {
    return this._reader.loaded;
  }

  /** What went wrong with the last reading, or null. */
  get error(): unknown {
    return this._error;
  }

  /** When the list was last read, milliseconds since the epoch. */
  get readAt(): number | null {
    return this._readAt;
  }

  /** Jobs that are not final, on all pages. */
  get active(): number {
    return this._reader.active;
  }

  /** What the server half said about itself. */
  get status(): IStatus | null {
    return this._status;
  }

  /** Jobs whose end is waited for even while the panel is closed. */
  get followed(): ReadonlySet<string> {
    return this._followed;
  }

  get isDisposed(): boolean {
    return this._poll.isDisposed;
  }

  get filter(): Filter {
    return this._list.filter;
  }

  /** What is typed into the search field. */
  get search(): string {
    return this._list.search;
  }

  /** Whether only some jobs are looked for, by words, label, owner or project. */
  get searching(): boolean {
    return this._list.searching;
  }

  /** Whether a list is being read. */
  get busy(): boolean {
    return this._pending > 0;
  }

  /** How far back the search has looked, if it has not reached the end. */
  get searchedTo(): string | null {
    return this._list.searchedTo;
  }

  /** Whether there are more jobs than were fetched. */
  get hasMore(): boolean {
    return this._list.hasMore;
  }

  /** Seconds until the next reading, as long as nothing fails. */
  get interval(): number {
    if (!this._visible) {
      return Math.max(this._patience, this.floor);
    }
    return this.active > 0
      ? Math.max(this._platformPoll ?? BUSY, this.floor)
      : Math.max(QUIET, this.floor);
  }

  /** Whether jobs that are not final are counted while no list is seen; the status bar does. */
  counting = false;

  /** The shortest time between two readings that the settings allow, in seconds. */
  floor = 0;

  /** Say how often the platform wishes to be asked, in seconds. */
  set platformPoll(seconds: number | null) {
    this._platformPoll = seconds;
  }

  /** Jobs that pass filter and search, newest first; the same array until something changes. */
  list(): readonly IJob[] {
    return this._list.shown();
  }

  get(id: string): IJob | undefined {
    return this._list.get(id);
  }

  /** Begin to read; harmless when it was begun. */
  start(): void {
    void this._poll.start().catch(() => undefined);
  }

  /** Say whether somebody looks at jobs, by one of the places that show them. */
  setVisible(visible: boolean, place: object = this): void {
    const before = this._visible;
    if (visible) {
      this._places.add(place);
    } else {
      this._places.delete(place);
    }
    if (this._visible && !before) {
      void this._poll.refresh().catch(() => undefined);
    }
  }

  /** Wait for a job's end. */
  follow(id: string): void {
    this._followed.add(id);
    void this._poll.refresh().catch(() => undefined);
  }

  /** Read now, whoever looks; never rejects, `error` says what happened. */
  async refresh(): Promise<void> {
    this._asked = true;
    await this._poll.refresh().catch(() => undefined);
    await this._poll.tick.catch(() => undefined);
    this._asked = false;
  }

  setFilter(filter: Filter): Promise<void> {
    this._list.filter = filter;
    return this._show();
  }

  /** Look for jobs; see `parse`. */
  setSearch(typed: string): Promise<void> {
    this._list.search = typed;
    return this._show();
  }

  /** Look only at the jobs of an owner, or of a project. */
  setWhose(whose: IWhose): Promise<void> {
    this._list.whose = whose;
    return this._show();
  }

  /** Fetch the next page of what is shown. */
  async more(): Promise<void> {
    if (this.hasMore) {
      await this._page(MORE);
    }
  }

  /** Show a job, whatever filter and search hide, and however old it is. */
  async reveal(id: string): Promise<void> {
    Object.assign(this._list, { revealed: id, search: '', whose: {} });
    await this.setFilter('all');
    if (!this.get(id)) {
      try {
        this.merge(await this._api.job(id));
      } catch (error) {
        // It was deleted: the list is shown without it.
        console.warn(error);
      }
    }
  }

  private async _show(): Promise<void> {
    this._emit();
    if (this.loaded && this._list.unread) {
      await this._page(PAGE);
    }
  }

  /** Fetch jobs that are not final and on no page yet, so that all of them can be counted. */
  async completeActive(): Promise<void> {
    await this._reader.completeActive();
    this._emit();
  }

  /** Jobs that are known, in no order. */
  known(): Iterable<IJob> {
    return this._list.known();
  }

  /** Take over what an answer says about one job. */
  merge(job: IJob): void {
    this._list.take([job]);
    this._emit();
  }

  async edit(id: string, change: IJobChange): Promise<void> {
    this.merge(await this._api.edit(id, change));
  }

  /** Do the same with many jobs; some at a time, if they are more than one request may be about. */
  async bulk(
    action: BulkAction,
    ids: readonly string[],
    key: string,
    labels: { add_labels?: string[]; remove_labels?: string[] } = {}
  ): Promise<IBulkResult[]> {
    const results: IBulkResult[] = [];
    try {
      for (let first = 0; first < ids.length; first += MOST_TOGETHER) {
        const some = ids.slice(first, first + MOST_TOGETHER);
        results.push(...(await this._api.bulk(action, some, key, labels)));
      }
    } finally {
      const done = results.filter(result => !result.problem);
      if (action === 'delete') {
        this._forget(done.map(result => result.id));
      }
      this._list.take(done.flatMap(result => result.job ?? []));
      this._emit();
      void this._poll.refresh().catch(() => undefined);
    }
    return results;
  }

  async cancel(id: string): Promise<void> {
    this.merge(await this._api.cancel(id));
    void this._poll.refresh().catch(() => undefined);
  }

  async rerun(id: string, key: string, points?: string): Promise<IJob> {
    const job = await this._api.rerun(id, key, points);
    this.merge(job);
    this.follow(job.id);
    return job;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this._poll.dispose();
      Signal.clearData(this);
    }
  }

  /** Seconds until a followed job is looked at again while no list is seen: a tenth of its age, so a short job's end is told soon. */
  private get _patience(): number {
    const ages = [...this._followed].map(id => {
      const job = this.get(id);
      return job ? (Date.now() - Date.parse(job.created)) / 1000 : Infinity;
    });
    const shortest = this._platformPoll ?? BUSY;
    return Math.min(BACKGROUND, Math.max(shortest, Math.min(...ages) / 10));
  }

  private get _wanted(): boolean {
    return (
      this._asked || this._visible || this._followed.size > 0 || (this.counting && this.active > 0)
    );
  }

  private get _visible(): boolean {
    return this._places.size > 0;
  }

  /** One reading; rejects when it fails, so that the poll backs off. */
  private async _tick(): Promise<void> {
    try {
      if (!this._status) {
        this._status = await this._api.status();
      }
      const anew = await this._reader.read(Date.now() - (this._readAt ?? Date.now()));
      if (anew && this._list.unread) {
        await this._page(PAGE);
      }
      await this._missing();
      this._error = null;
      this._readAt = Date.now();
    } catch (error) {
      this._error = error;
      // The server half may come back as another version.
      if (error instanceof ApiError && error.kind !== 'problem') {
        this._status = null;
      }
      throw error;
    } finally {
      this._poll.frequency = {
        interval: this.interval * 1000,
        backoff: true,
        max: Math.max(SLOWEST, this.interval) * 1000
      };
      this._emit();
    }
  }

  /** Look up followed jobs that no page showed, e.g. after a reload of the browser. */
  private async _missing(): Promise<void> {
    for (const id of [...this._followed]) {
      const known = this.get(id);
      if (known) {
        if (isFinal(known)) {
          this._settle(known);
        }
        continue;
      }
      try {
        this._list.take([await this._api.job(id)]);
      } catch (error) {
        if (error instanceof ApiError && error.kind === 'problem' && error.status === 404) {
          this._followed.delete(id);
        } else {
          throw error;
        }
      }
    }
  }

  private async _page(limit: number): Promise<void> {
    this._pending += 1;
    this._emit();
    try {
      await this._reader.page(limit, () => this._emit());
      this._error = null;
    } catch (error) {
      this._error = error;
    } finally {
      this._pending -= 1;
    }
    this._emit();
  }

  private _forget(ids: readonly string[]): void {
    this._list.forget(ids);
    ids.forEach(id => this._followed.delete(id));
  }

  private _emit(): void {
    this._list.changed();
    this._changed.emit();
  }

  /** Notice what is new of a job. */
  private _taken(job: IJob, before: IJob | undefined): void {
    if (before?.state !== job.state) {
      this._transition.emit({ job, before: before?.state });
    }
    if (isFinal(job)) {
      this._settle(job);
    }
  }

  private _settle(job: IJob): void {
    if (this._followed.delete(job.id)) {
      this._ended.emit(job);
    }
  }

  /** Emitted once for each followed job that has ended. */
  get ended(): ISignal<this, IJob> {
    return this._ended;
  }

  private readonly _poll: Poll<void, unknown>;
  private readonly _list = new JobList((job, before) => this._taken(job, before));
  private readonly _reader: JobReader;
  private readonly _followed = new Set<string>();
  private readonly _places = new Set<object>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _transition = new Signal<this, ITransition>(this);
  private readonly _ended = new Signal<this, IJob>(this);
  private _asked = false;
  private _error: unknown = null;
  private _readAt: number | null = null;
  private _status: IStatus | null = null;
  private _platformPoll: number | null = null;
  private _pending = 0;
}
