/** Finding a text in the parts of a log. */

import type { IPart } from '../logs';

/** Places that are found at most: more help nobody, and each is an element of the page. */
export const MOST_FOUND = 1000;

/** A place in a part's text. */
export interface IFound {
  /** Position of the part, which is its identity. */
  readonly part: number;
  readonly at: number;
  readonly length: number;
}

/** Find a text, whatever its case; `more` if there are more places than are given. */
export function find(parts: readonly IPart[], wanted: string): { found: IFound[]; more: boolean } {
  const found: IFound[] = [];
  if (!wanted) {
    return { found, more: false };
  }
  const pattern = new RegExp(wanted.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'giu');
  for (const part of parts) {
    for (const match of part.text.matchAll(pattern)) {
      if (found.length === MOST_FOUND) {
        return { found, more: true };
      }
      found.push({ part: part.from, at: match.index, length: match[0].length });
    }
  }
  return { found, more: false };
}

/** The place to go to: the same one if it is still there, else the last, which is the newest. */
export function keepPlace(found: readonly IFound[], before: IFound | null): number {
  const index = found.findIndex(
    place => before !== null && place.part === before.part && place.at === before.at
  );
  return index >= 0 ? index : found.length - 1;
}
