/** The table of a sweep: its columns, their order, what a cell shows. No React. */

import type { TranslationBundle } from '@jupyterlab/translation';

import { isFinal } from '../../core/status';
import type { ISweepPoint, ISweepProgress, JobState, Json } from '../../core/types';
import { numberOf, show } from '../../core/values';

/** A column; its cells are compared and shown by their values. */
export interface IColumn {
  /** Unique in the table. */
  key: string;
  title: string;
  value: (point: ISweepPoint, now: number) => Json | undefined;
}

export interface ISort {
  key: string;
  descending: boolean;
}

/** From what needs attention to what does not. */
const ORDER: readonly JobState[] = [
  'failed',
  'cancelled',
  'running',
  'starting',
  'queued',
  'succeeded'
];

/** The columns: number and state, which a narrow panel still shows, parameters, duration, recorded values by first use. */
export function columns(points: readonly ISweepPoint[], trans: TranslationBundle): IColumn[] {
  const names = (of: (point: ISweepPoint) => object) => [
    ...new Set(points.flatMap(point => Object.keys(of(point))))
  ];
  const parameters = names(point => point.parameters);
  const recorded = names(point => point.values);
  return [
    { key: 'point', title: trans.__('No.'), value: point => point.point },
    { key: 'state', title: trans.__('State'), value: point => ORDER.indexOf(point.state) },
    ...parameters.map(name => ({
      key: `parameter:${name}`,
      title: name,
      value: (point: ISweepPoint) => point.parameters[name]
    })),
    { key: 'seconds', title: trans.__('Took'), value: (point, now) => seconds(point, now) },
    ...recorded.map(name => ({
      key: `value:${name}`,
      title: parameters.includes(name) ? trans.__('%1 (recorded)', name) : name,
      value: (point: ISweepPoint) => point.values[name]
    }))
  ];
}

/** Seconds that a point runs or ran; undefined before it has started. */
export function seconds(point: ISweepPoint, now: number): number | undefined {
  if (!point.started || (!point.ended && isFinal(point))) {
    return undefined;
  }
  if (!point.ended && point.state === 'queued') {
    // It made room, and waits again.
    return undefined;
  }
  const end = point.ended ? Date.parse(point.ended) : now;
  return Math.max(0, (end - Date.parse(point.started)) / 1000);
}

/** Sort by a column. What a point does not have stands last, whatever the direction; equal ones stay by number. */
export function sorted(
  points: readonly ISweepPoint[],
  column: IColumn | undefined,
  descending: boolean,
  now: number
): ISweepPoint[] {
  if (!column) {
    return [...points];
  }
  const keyed = points.map(point => ({ point, value: column.value(point, now) }));
  keyed.sort((a, b) => {
    const order =
      Number(isMissing(a.value)) - Number(isMissing(b.value)) ||
      compare(a.value, b.value) * (descending ? -1 : 1);
    return order || a.point.point - b.point.point;
  });
  return keyed.map(({ point }) => point);
}

function isMissing(value: Json | undefined): boolean {
  return value === undefined || value === null;
}

/** Numbers before texts; texts as people count ("run 2" before "run 10"). */
function compare(a: Json | undefined, b: Json | undefined): number {
  const [x, y] = [number(a), number(b)];
  if (x !== null && y !== null) {
    return x < y ? -1 : x > y ? 1 : 0;
  }
  if (x !== null || y !== null) {
    return x !== null ? -1 : 1;
  }
  return show(a).localeCompare(show(b), undefined, { numeric: true });
}

/** A number, also of what stands for those that JSON cannot hold; "nan" is none. */
function number(value: Json | undefined): number | null {
  const found = numberOf(value);
  if (found !== null) {
    return Number.isNaN(found) ? null : found;
  }
  switch (typeof value) {
    case 'boolean':
      return Number(value);
    case 'string':
      return value === 'inf' ? Infinity : value === '-inf' ? -Infinity : null;
    default:
      return null;
  }
}

/** A part of a sweep's bar. */
export interface ISegment {
  state: 'succeeded' | 'failed' | 'cancelled' | 'running' | 'queued';
  count: number;
}

/** The parts of a sweep's bar that are not empty, what is over first. */
export function segments(progress: ISweepProgress): ISegment[] {
  const { succeeded, failed, cancelled, running, starting, queued } = progress;
  const all: ISegment[] = [
    { state: 'succeeded', count: succeeded },
    { state: 'failed', count: failed },
    { state: 'cancelled', count: cancelled },
    { state: 'running', count: running + starting },
    { state: 'queued', count: queued }
  ];
  return all.filter(({ count }) => count > 0);
}

/** The bar in words: "7 succeeded, 1 failed". */
export function segmentWords(progress: ISweepProgress, trans: TranslationBundle): string {
  return segments(progress)
    .map(({ state, count }) => segmentWord(state, count, trans))
    .join(', ');
}

function segmentWord(state: ISegment['state'], count: number, trans: TranslationBundle): string {
  switch (state) {
    case 'succeeded':
      return trans._n('%1 succeeded', '%1 succeeded', count);
    case 'failed':
      return trans._n('%1 failed', '%1 failed', count);
    case 'cancelled':
      return trans._n('%1 cancelled', '%1 cancelled', count);
    case 'running':
      return trans._n('%1 running', '%1 running', count);
    case 'queued':
      return trans._n('%1 waiting', '%1 waiting', count);
  }
}
