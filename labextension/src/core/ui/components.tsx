/** Small pieces that the dialog and the panel share. */

import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import '../../../style/index.css';
import type { IProblem } from '../types';

/** Render again whenever a signal is emitted. */
export function useSignal<T>(signal: ISignal<T, void>): void {
  const [, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    const slot = () => again();
    signal.connect(slot);
    // Something may have changed between the first rendering and now.
    again();
    return () => {
      signal.disconnect(slot);
    };
  }, [signal]);
}

interface IBannerProps {
  problem: IProblem;
  tone?: 'error' | 'warning';
  children?: React.ReactNode;
}

/** A problem in words, told to screen readers as it appears. */
export function Banner({ problem, tone = 'error', children }: IBannerProps): JSX.Element {
  return (
    <div
      className={`aiinfn-Banner aiinfn-mod-${tone}`}
      role={tone === 'error' ? 'alert' : 'status'}
    >
      <Symbol name={tone === 'error' ? 'failed' : 'notice'} />
      <div className="aiinfn-Banner-text">
        <strong>{problem.message}</strong> {problem.hint}
        {children}
      </div>
    </div>
  );
}

const PATHS: { [name: string]: string } = {
  queued:
    'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6zM7.2 4v4.4l3.4 2 .8-1.3-2.6-1.5V4z',
  starting:
    'M8 1a7 7 0 0 1 7 7h-1.8A5.2 5.2 0 0 0 8 2.8zM3 12.9A7 7 0 0 1 1 8h1.8c0 1.4.6 2.7 1.5 3.6zM8 15v-1.8c1 0 2-.3 2.8-.8l1.2 1.4c-1.1.8-2.5 1.2-4 1.2z',
  running: 'M4 2.2v11.6L13.5 8z',
  succeeded: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zM6.9 11.4 3.7 8.2l1.2-1.2 2 2 4.2-4.3 1.2 1.2z',
  failed:
    'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm3 8.9L9.9 11 8 9.1 6.1 11 5 9.9 6.9 8 5 6.1 6.1 5 8 6.9 9.9 5 11 6.1 9.1 8z',
  cancelled:
    'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.7c1.1 0 2.2.4 3.1 1L3.7 11A5.3 5.3 0 0 1 8 2.7zm0 10.6c-1.1 0-2.2-.4-3.1-1L12.3 5A5.3 5.3 0 0 1 8 13.3z',
  unknown: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1zm0 1.6a5.4 5.4 0 1 1 0 10.8A5.4 5.4 0 0 1 8 2.6z',
  notice: 'M8 1 .5 14.5h15zm-.8 5h1.6v4.2H7.2zm0 5.4h1.6V13H7.2z'
};

/** The symbol of a job's state; the word stands beside it. */
export function Symbol({ name }: { name: string }): JSX.Element {
  return (
    <svg
      className={`aiinfn-Symbol aiinfn-mod-${name}`}
      viewBox="0 0 16 16"
      width="16"
      height="16"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name] ?? PATHS.unknown} fill="currentColor" />
    </svg>
  );
}
