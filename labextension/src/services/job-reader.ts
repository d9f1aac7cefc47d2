/** Fetches jobs into the list of those that are known: a first page, then what changed, and further pages; no React. */

import type { Api } from '../core/api';
import { STATES } from '../core/status';
import type { JobList } from './job-list';

/** Jobs fetched at once. */
export const PAGE = 25;
/** Pages of a search that are fetched in a row while little is found. */
const ROUNDS = 5;
/** Milliseconds after which not all deleted jobs are told any more. */
const NEWS_KEPT = 24 * 3600 * 1000;
/** Jobs fetched at once when only the changed ones are asked for. */
const INCREMENT = 100;

export class JobReader {
  /**
   * @param _onDeleted - Called with the ids of jobs that were deleted elsewhere.
   */
  constructor(
    private readonly _api: Api,
    private readonly _list: JobList,
    private readonly _onDeleted: (ids: readonly string[]) => void
  ) {}

  /** Jobs that are not final, on all pages. */
  active = 0;

  /** Whether a first page has arrived. */
  get loaded(): boolean {
    return this._since !== null;
  }

  /**
   * Read what has changed, or begin anew.
   *
   * @param age - Milliseconds since the last reading.
   * @returns Whether it began anew, so that only the first page of all jobs is known.
   */
  async read(age: number): Promise<boolean> {
    if (this._since === null || age > NEWS_KEPT) {
      return this._first();
    }
    return this._increment(this._since);
  }

  /**
   * Fetch a page of what is shown; of a search that did not look through everything more than one.
   *
   * @param onPart - Called after each page but the last.
   */
  async page(limit: number, onPart: () => void): Promise<void> {
    const list = this._list;
    const { key } = list;
    const query = { ...list.query, states: STATES[list.filter], limit };
    let found = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const answer = await this._api.jobs({ ...query, cursor: list.next(key) ?? undefined });
      if (!answer) {
        return;
      }
      const { page } = answer;
      list.add(page, key);
      found += page.jobs.length;
      // Only a search that did not look through everything goes on by itself, and not when another one is wanted.
      if (!page.next_cursor || !page.searched_to || found >= limit || key !== list.key) {
        return;
      }
      onPart();
    }
  }

  /** Fetch jobs that are not final and on no page yet, so that all of them can be counted. */
  async completeActive(): Promise<void> {
    let cursor: string | undefined;
    do {
      const answer = await this._api.jobs({ states: STATES.active, limit: INCREMENT, cursor });
      this._list.take(answer?.page.jobs ?? []);
      cursor = answer?.page.next_cursor ?? undefined;
    } while (cursor);
  }

  private async _first(): Promise<boolean> {
    const answer = await this._api.jobs({ limit: PAGE });
    if (!answer) {
      return false;
    }
    const { page } = answer;
    this._list.begin(page);
    this._since = page.revision;
    this.active = page.active;
    return true;
  }

  private async _increment(since: number): Promise<boolean> {
    let cursor: string | undefined;
    do {
      const known =
        cursor === undefined && this._etag?.since === since ? this._etag.tag : undefined;
      const answer = await this._api.jobs(
        { since_revision: since, cursor, limit: INCREMENT },
        known
      );
      if (!answer) {
        return false;
      }
      const { page, etag } = answer;
      if (page.revision < since || page.deleted === null) {
        // The store was replaced: what is known here belongs to another one. Or too much was deleted.
        this._since = null;
        this._etag = null;
        return this._first();
      }
      this._onDeleted(page.deleted ?? []);
      this._list.take(page.jobs);
      this.active = page.active;
      this._since = page.revision;
      // Only an answer without changes can be asked for again.
      this._etag = etag && page.revision === since ? { since, tag: etag } : null;
      cursor = page.next_cursor ?? undefined;
    } while (cursor);
    return false;
  }

  private _since: number | null = null;
  private _etag: { since: number; tag: string } | null = null;
}
