/** Reads the points of a sweep again when it has changed, and not more often than its size allows. */

import * as React from 'react';

import type { Api } from '../../core/api';
import type { IJob, ISweepPoint } from '../../core/types';

/** Shortest time between two readings, in milliseconds, and how much longer it is for each point. */
const PACE = 1000;
const PER_POINT = 8;

interface IPoints {
  points: ISweepPoint[] | null;
  /** What went wrong with the last reading, or null; the last points stay. */
  error: unknown;
}

/** Give the points as they were last read. */
export function usePoints(api: Api, job: IJob): IPoints {
  const [state, setState] = React.useState<IPoints>({ points: null, error: null });
  const readAt = React.useRef(0);
  const { id, updated } = job;
  const pause = PACE + PER_POINT * (job.sweep?.points ?? 0);
  const mounted = React.useRef(true);
  React.useEffect(() => {
    mounted.current = true;
    return () => {
      mounted.current = false;
    };
  }, []);
  React.useEffect(() => {
    const read = async () => {
      readAt.current = Date.now();
      const take = (change: Partial<IPoints>) =>
        mounted.current && setState(before => ({ ...before, ...change }));
      try {
        take({ points: await api.points(id), error: null });
      } catch (error) {
        take({ error });
      }
    };
    const timer = window.setTimeout(() => void read(), readAt.current + pause - Date.now());
    return () => window.clearTimeout(timer);
  }, [api, id, updated, pause]);
  return state;
}
