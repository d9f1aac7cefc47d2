/** The jobs that are known, which of them are shown, and how far those were fetched; no requests, no React. */

import type { ISearch } from '../core/api';
import { type Filter, isFinal, STATES } from '../core/status';
import type { IWhose } from '../core/tokens';
import type { IJob, IJobPage } from '../core/types';
import { matches, parse } from './job-search';

/** How far a list was fetched. */
interface IReach {
  next: string | null;
  /** When the oldest fetched job was submitted, milliseconds since the epoch; older ones are known by chance. */
  oldest: number;
  /** How far back a search has looked. */
  searchedTo: string | null;
}

/** The key of the list without filter and search. */
const EVERYTHING = JSON.stringify(['all', {}]);

export class JobList {
  /**
   * @param _onTaken - Called with each job that is taken in, and what was known of it before.
   */
  constructor(private readonly _onTaken: (job: IJob, before: IJob | undefined) => void) {}

  filter: Filter = 'all';
  /** What is typed into the search field. */
  search = '';
  whose: IWhose = {};
  /** The id of a job that is shown although it lies behind the last page, or null. */
  revealed: string | null = null;

  /** Whether only some jobs are looked for, by words, label, owner or project. */
  get searching(): boolean {
    return this.search.trim() !== '' || Object.keys(this.whose).length > 0;
  }

  /** What is looked for. */
  get query(): ISearch {
    return { ...this.whose, ...parse(this.search) };
  }

  /** Names what is shown, for how far it was fetched. */
  get key(): string {
    return JSON.stringify([this.filter, this.query]);
  }

  /** Where the next page of a list begins, if it has one. */
  next(key = this.key): string | null {
    return this._reach.get(key)?.next ?? null;
  }

  /** How far back the search has looked, if it has not reached the end. */
  get searchedTo(): string | null {
    return this._reach.get(this.key)?.searchedTo ?? null;
  }

  /** Whether there are more jobs than were fetched. */
  get hasMore(): boolean {
    return !this._complete && !!this.next();
  }

  /** Whether no page of what is shown was fetched, and there may be one. */
  get unread(): boolean {
    return !this._complete && !this._reach.has(this.key);
  }

  /** Jobs that pass filter and search, newest first; the same array until something changes. */
  shown(): readonly IJob[] {
    this._shown ??= this._select();
    return this._shown;
  }

  /** Say that something of it may have changed. */
  changed(): void {
    this._shown = null;
  }

  get(id: string): IJob | undefined {
    return this._jobs.get(id);
  }

  /** Jobs that are known, in no order. */
  known(): Iterable<IJob> {
    return this._jobs.values();
  }

  /** Begin anew with the first page of all jobs. */
  begin(page: IJobPage): void {
    this._jobs.clear();
    this._reach.clear();
    this.take(page.jobs);
    this._reach.set(EVERYTHING, reached(page));
    // Everything there is has been fetched: no filter has more.
    this._complete = !page.next_cursor;
  }

  /** Take in one page more of a list. */
  add(page: IJobPage, key: string): void {
    this.take(page.jobs);
    this._reach.set(key, reached(page, this._reach.get(key)));
  }

  take(jobs: readonly IJob[]): void {
    for (const job of jobs) {
      const known = this._jobs.get(job.id);
      // A page that was asked for before an increment may arrive after it.
      if (known && Date.parse(known.updated) > Date.parse(job.updated)) {
        continue;
      }
      this._jobs.set(job.id, job);
      this._onTaken(job, known);
    }
  }

  forget(ids: readonly string[]): void {
    ids.forEach(id => this._jobs.delete(id));
  }

  private _select(): IJob[] {
    const query = this.query;
    const reach = this._complete ? undefined : this._reach.get(this.key);
    const oldest = reach?.next ? reach.oldest : -Infinity;
    return [...this._jobs.values()]
      .filter(job => passes(job, this.filter) && matches(job, query))
      .map(job => ({ job, created: Date.parse(job.created) }))
      .filter(({ job, created }) => created >= oldest || job.id === this.revealed)
      .sort((a, b) => b.created - a.created || b.job.id.localeCompare(a.job.id))
      .map(({ job }) => job);
  }

  private readonly _jobs = new Map<string, IJob>();
  private readonly _reach = new Map<string, IReach>();
  private _shown: readonly IJob[] | null = null;
  /** Whether all jobs there are were fetched. */
  private _complete = false;
}

/** Whether a filter lets a job through; one in a state that is not known here is active until it ends. */
function passes(job: IJob, filter: Filter): boolean {
  return filter === 'active'
    ? !isFinal(job)
    : !STATES[filter].length || STATES[filter].includes(job.state);
}

/** How far a list was fetched, with one page more. */
function reached(page: IJobPage, before?: IReach): IReach {
  const last = page.jobs[page.jobs.length - 1];
  return {
    next: page.next_cursor,
    oldest: Date.parse(page.searched_to ?? last?.created ?? '') || (before?.oldest ?? Infinity),
    searchedTo: page.next_cursor ? (page.searched_to ?? null) : null
  };
}
