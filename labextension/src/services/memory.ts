/** Remembers in JupyterLab's state database what was chosen for each file, and which jobs are followed. */

import type { IStateDB } from '@jupyterlab/statedb';
import type { PartialJSONValue } from '@lumino/coreutils';

import type { IMemory, IRemembered } from '../core/tokens';

/** Key of the ids of jobs whose end is still to be told. */
const FOLLOWED_KEY = 'aiinfn:followed';
/** Key of what was chosen for each file when it was submitted last. */
const CHOSEN_KEY = 'aiinfn:chosen';
/** Files of which that is remembered. */
const MOST_CHOSEN = 50;

/** Remembers what was chosen for each file, the newest last. */
export class Memory implements IMemory {
  constructor(private readonly _state: IStateDB | null) {}

  async recall(path: string): Promise<IRemembered | null> {
    return (await this._chosen()).find(([known]) => known === path)?.[1] ?? null;
  }

  keep(path: string, chosen: IRemembered | null): void {
    void this._chosen()
      .then(all => {
        const others = all.filter(([known]) => known !== path).slice(1 - MOST_CHOSEN);
        const kept = [...others, ...(chosen ? [[path, chosen]] : [])];
        return this._state?.save(CHOSEN_KEY, kept as unknown as PartialJSONValue);
      })
      .catch(error => console.warn('What was chosen was not remembered', error));
  }

  /** Remember which jobs are followed. */
  keepFollowed(ids: Iterable<string>): void {
    void this._state
      ?.save(FOLLOWED_KEY, [...ids])
      .catch(error => console.warn('Followed jobs were not remembered', error));
  }

  private async _chosen(): Promise<[string, IRemembered][]> {
    const all = await this._state?.fetch(CHOSEN_KEY).catch(() => null);
    return (Array.isArray(all) ? all : []) as unknown as [string, IRemembered][];
  }
}
