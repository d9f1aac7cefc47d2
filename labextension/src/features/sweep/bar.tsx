/** How far a sweep is: a bar with a part for each state, and the same in words. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { IJob, ISweepProgress } from '../../core/types';
import { segments, segmentWords } from './table';

interface IBarProps {
  job: IJob;
  progress: ISweepProgress;
  trans: TranslationBundle;
}

export function SweepBar({ job, progress, trans }: IBarProps): JSX.Element {
  const words = segmentWords(progress, trans);
  return (
    <div className="aiinfn-SweepBar">
      <div
        className="aiinfn-SweepBar-parts"
        role="progressbar"
        aria-label={trans.__('Progress of %1', job.name)}
        aria-valuemin={0}
        aria-valuemax={progress.points}
        aria-valuenow={progress.succeeded + progress.failed + progress.cancelled}
        aria-valuetext={words}
      >
        {segments(progress).map(({ state, count }) => (
          <span key={state} className={`aiinfn-mod-${state}`} style={{ flexGrow: count }} />
        ))}
      </div>
      <div className="aiinfn-SweepBar-words" aria-hidden="true">
        {words}
      </div>
    </div>
  );
}
