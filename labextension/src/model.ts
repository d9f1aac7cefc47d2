/** The list of jobs, kept up to date by increments; no React, no DOM. */

import type { IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';

import { ApiError, type Api } from './api';
import { matches, parse, type ISearch } from './search';
import type { BulkAction, IBulkResult, IJob, IJobChange, IJobPage, IStatus } from './types';
import { FINAL, isFinal } from './words';

/** Jobs fetched at once. */
export const PAGE = 25;
/** Jobs fetched at once by whoever wants more. */
const MORE = 100;
/** Jobs that one request may be about. */
const MOST_TOGETHER = 500;
/** Pages of a search that are fetched in a row while little is found. */
const ROUNDS = 5;
/** Milliseconds after which not all deleted jobs are told any more. */
const NEWS_KEPT = 24 * 3600 * 1000;
/** Jobs fetched at once when only the changed ones are asked for. */
const INCREMENT = 100;
/** Seconds between two readings. */
const BUSY = 2;
const QUIET = 10;
const BACKGROUND = 15;
const SLOWEST = 30;

/** What a list shows. */
export type Filter = 'all' | 'active' | 'succeeded' | 'failed' | 'cancelled';

export const FILTERS: readonly Filter[] = ['all', 'active', 'succeeded', 'failed', 'cancelled'];

const STATES: { [filter in Filter]: readonly string[] } = {
  all: [],
  active: ['queued', 'starting', 'running'],
  succeeded: ['succeeded'],
  failed: ['failed'],
  cancelled: ['cancelled']
};

/** How far a list was fetched. */
interface IReach {
  next: string | null;
  /** When the oldest fetched job was submitted, milliseconds since the epoch; older ones are known by chance. */
  oldest: number;
  /** How far back a search has looked. */
  searchedTo: string | null;
}

/** A change of one job's state. */
export interface ITransition {
  job: IJob;
  /** The state before; undefined for a job that is new here. */
  before: IJob['state'] | undefined;
}

/** Jobs of the signed-in person, and of their projects for a manager. */
export class JobsModel implements IDisposable {
  constructor(private readonly _api: Api) {
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
    return this._since !== null;
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
    return this._active;
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
    return this._filter;
  }

  /** What is typed into the search field. */
  get search(): string {
    return this._search;
  }

  /** Whether only some jobs are looked for, by words, label, owner or project. */
  get searching(): boolean {
    return this._search.trim() !== '' || Object.keys(this._whose).length > 0;
  }

  /** Whether a list is being read. */
  get busy(): boolean {
    return this._pending > 0;
  }

  /** How far back the search has looked, if it has not reached the end. */
  get searchedTo(): string | null {
    return this._reach.get(this._key)?.searchedTo ?? null;
  }

  /** Whether there are more jobs than were fetched. */
  get hasMore(): boolean {
    return !this._complete && !!this._reach.get(this._key)?.next;
  }

  /** Seconds until the next reading, as long as nothing fails. */
  get interval(): number {
    if (!this._visible) {
      return Math.max(this._patience, this.floor);
    }
    return this._active > 0
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
    this._listed ??= this._list();
    return this._listed;
  }

  private _list(): IJob[] {
    const states = STATES[this._filter];
    const query = this._query;
    const reach = this._complete ? undefined : this._reach.get(this._key);
    const oldest = reach?.next ? reach.oldest : -Infinity;
    return [...this._jobs.values()]
      .filter(job => (!states.length || states.includes(job.state)) && matches(job, query))
      .map(job => ({ job, created: Date.parse(job.created) }))
      .filter(({ job, created }) => created >= oldest || job.id === this._revealed)
      .sort((a, b) => b.created - a.created || b.job.id.localeCompare(a.job.id))
      .map(({ job }) => job);
  }

  get(id: string): IJob | undefined {
    return this._jobs.get(id);
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
    this._filter = filter;
    return this._show();
  }

  /** Look for jobs; see `parse`. */
  setSearch(typed: string): Promise<void> {
    this._search = typed;
    return this._show();
  }

  /** Look only at the jobs of an owner, or of a project. */
  setWhose(whose: { owner?: string; project?: string }): Promise<void> {
    this._whose = whose;
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
    this._revealed = id;
    this._search = '';
    this._whose = {};
    await this.setFilter('all');
    if (!this._jobs.has(id)) {
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
    if (this.loaded && !this._complete && !this._reach.has(this._key)) {
      await this._page(PAGE);
    }
  }

  /** Fetch jobs that are not final and on no page yet, so that all of them can be counted. */
  async completeActive(): Promise<void> {
    let cursor: string | undefined;
    do {
      const answer = await this._api.jobs({ states: STATES.active, limit: INCREMENT, cursor });
      this._take(answer?.page.jobs ?? []);
      cursor = answer?.page.next ?? undefined;
    } while (cursor);
    this._changed.emit();
  }

  /** Jobs that are known, in no order. */
  known(): Iterable<IJob> {
    return this._jobs.values();
  }

  /** Take over what an answer says about one job. */
  merge(job: IJob): void {
    this._take([job]);
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
    labels: { add?: string[]; remove?: string[] } = {}
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
      this._take(done.flatMap(result => result.job ?? []));
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
      const job = this._jobs.get(id);
      return job ? (Date.now() - Date.parse(job.created)) / 1000 : Infinity;
    });
    const shortest = this._platformPoll ?? BUSY;
    return Math.min(BACKGROUND, Math.max(shortest, Math.min(...ages) / 10));
  }

  private get _wanted(): boolean {
    return (
      this._asked || this._visible || this._followed.size > 0 || (this.counting && this._active > 0)
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
      if (this._since === null || Date.now() - (this._readAt ?? Date.now()) > NEWS_KEPT) {
        await this._first();
      } else {
        await this._increment(this._since);
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

  private async _first(): Promise<void> {
    const answer = await this._api.jobs({ limit: PAGE });
    if (!answer) {
      return;
    }
    const { page } = answer;
    this._jobs.clear();
    this._reach.clear();
    this._take(page.jobs);
    this._reach.set(EVERYTHING, reached(page));
    this._since = page.updated_through;
    this._active = page.active;
    // Everything there is has been fetched: no filter has more.
    this._complete = !page.next;
    if (!this._complete && this._key !== EVERYTHING) {
      await this._page(PAGE);
    }
  }

  private async _increment(since: number): Promise<void> {
    let cursor: string | undefined;
    do {
      const known =
        cursor === undefined && this._etag?.since === since ? this._etag.tag : undefined;
      const answer = await this._api.jobs({ since, cursor, limit: INCREMENT }, known);
      if (!answer) {
        return;
      }
      const { page, etag } = answer;
      if (page.updated_through < since || page.deleted === null) {
        // The store was replaced: what is known here belongs to another one. Or too much was deleted.
        this._since = null;
        this._etag = null;
        return this._first();
      }
      this._forget(page.deleted ?? []);
      this._take(page.jobs);
      this._active = page.active;
      this._since = page.updated_through;
      // Only an answer without changes can be asked for again.
      this._etag = etag && page.updated_through === since ? { since, tag: etag } : null;
      cursor = page.next ?? undefined;
    } while (cursor);
  }

  /** Look up followed jobs that no page showed, e.g. after a reload of the browser. */
  private async _missing(): Promise<void> {
    for (const id of [...this._followed]) {
      const known = this._jobs.get(id);
      if (known) {
        if (isFinal(known)) {
          this._settle(known);
        }
        continue;
      }
      try {
        this._take([await this._api.job(id)]);
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
    const key = this._key;
    const query = { ...this._query, states: STATES[this._filter], limit };
    this._pending += 1;
    this._emit();
    try {
      let found = 0;
      for (let round = 0; round < ROUNDS; round++) {
        const cursor = this._reach.get(key)?.next ?? undefined;
        const answer = await this._api.jobs({ ...query, cursor });
        if (!answer) {
          break;
        }
        const { page } = answer;
        this._take(page.jobs);
        this._reach.set(key, reached(page, this._reach.get(key)));
        found += page.jobs.length;
        // Only a search that did not look through everything goes on by itself, and not when another one is wanted.
        if (!page.next || !page.searched_to || found >= limit || key !== this._key) {
          break;
        }
        this._emit();
      }
      this._error = null;
    } catch (error) {
      this._error = error;
    } finally {
      this._pending -= 1;
    }
    this._emit();
  }

  private _forget(ids: readonly string[]): void {
    ids.forEach(id => {
      this._jobs.delete(id);
      this._followed.delete(id);
    });
  }

  private _emit(): void {
    this._listed = null;
    this._changed.emit();
  }

  /** What is looked for. */
  private get _query(): ISearch {
    return { ...this._whose, ...parse(this._search) };
  }

  /** Names what is shown, for how far it was fetched. */
  private get _key(): string {
    return JSON.stringify([this._filter, this._query]);
  }

  private _take(jobs: readonly IJob[]): void {
    for (const job of jobs) {
      const known = this._jobs.get(job.id);
      // A page that was asked for before an increment may arrive after it.
      if (known && Date.parse(known.updated) > Date.parse(job.updated)) {
        continue;
      }
      this._jobs.set(job.id, job);
      if (known?.state !== job.state) {
        this._transition.emit({ job, before: known?.state });
      }
      if (FINAL.has(job.state)) {
        this._settle(job);
      }
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
  private readonly _jobs = new Map<string, IJob>();
  private readonly _reach = new Map<string, IReach>();
  private readonly _followed = new Set<string>();
  private readonly _places = new Set<object>();
  private readonly _changed = new Signal<this, void>(this);
  private readonly _transition = new Signal<this, ITransition>(this);
  private readonly _ended = new Signal<this, IJob>(this);
  private _since: number | null = null;
  private _etag: { since: number; tag: string } | null = null;
  private _active = 0;
  private _asked = false;
  private _error: unknown = null;
  private _readAt: number | null = null;
  private _status: IStatus | null = null;
  private _platformPoll: number | null = null;
  private _filter: Filter = 'all';
  private _search = '';
  private _whose: { owner?: string; project?: string } = {};
  private _revealed: string | null = null;
  private _pending = 0;
  private _listed: readonly IJob[] | null = null;
  /** Whether all jobs there are were fetched. */
  private _complete = false;
}

/** The key of the list without filter and search. */
const EVERYTHING = JSON.stringify(['all', {}]);

/** How far a list was fetched, with one page more. */
function reached(page: IJobPage, before?: IReach): IReach {
  const last = page.jobs[page.jobs.length - 1];
  return {
    next: page.next,
    oldest: Date.parse(page.searched_to ?? last?.created ?? '') || (before?.oldest ?? Infinity),
    searchedTo: page.next ? (page.searched_to ?? null) : null
  };
}
