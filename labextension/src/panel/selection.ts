/** Which rows are chosen, and what can be done with them. Pure functions. */

import type { BulkAction, IBulkResult, IJob } from '../types';

/** Chosen jobs, and the one from which a range goes on. */
export interface ISelection {
  ids: ReadonlySet<string>;
  anchor: string | null;
}

export const NOTHING: ISelection = { ids: new Set(), anchor: null };

/**
 * Choose a row or let it go.
 *
 * @param shown - The ids of all rows, in their order.
 * @param range - Do the same with all rows between the one before and this one.
 */
export function toggled(
  before: ISelection,
  id: string,
  shown: readonly string[],
  range: boolean
): ISelection {
  const chosen = !before.ids.has(id);
  const ids = new Set(before.ids);
  const [from, to] = [shown.indexOf(before.anchor ?? ''), shown.indexOf(id)];
  const between =
    range && from >= 0 && to >= 0 ? shown.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
  between.forEach(one => (chosen ? ids.add(one) : ids.delete(one)));
  return { ids, anchor: id };
}

/** Drop what is not shown any more. */
export function still(before: ISelection, shown: readonly string[]): ISelection {
  const there = new Set(shown);
  const ids = [...before.ids].filter(id => there.has(id));
  return ids.length === before.ids.size ? before : { ids: new Set(ids), anchor: before.anchor };
}

/** The chosen jobs with which something can be done. */
export function able(jobs: readonly IJob[], action: BulkAction): IJob[] {
  const needed = action === 'label' ? 'edit' : action;
  return jobs.filter(job => job.actions.includes(needed));
}

/** Read the labels that were typed: those to give, and after a minus sign those to take away. */
export function readLabels(typed: string): { add: string[]; remove: string[] } {
  const words = typed.split(/[\s,]+/).filter(Boolean);
  return {
    add: words.filter(word => !word.startsWith('-')),
    remove: words.filter(word => word.startsWith('-') && word.length > 1).map(word => word.slice(1))
  };
}

/** What was refused, each sentence once with the ids that it is about. */
export function refusals(results: readonly IBulkResult[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, problem } of results) {
    if (problem) {
      const sentence = [problem.message, problem.hint].filter(Boolean).join(' ');
      found.set(sentence, [...(found.get(sentence) ?? []), id]);
    }
  }
  return found;
}
