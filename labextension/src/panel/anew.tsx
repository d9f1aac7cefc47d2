/** The button that opens the dialog with the choices of a job. */

import * as React from 'react';

import type { Runtime } from '../runtime';
import type { IJob } from '../types';

interface IAnewProps {
  job: IJob;
  runtime: Runtime;
  disabled?: boolean;
}

/** Draws nothing where the file is gone, or the job went on from a kernel whose state it took along. */
export function RunAnew({ job, runtime, disabled }: IAnewProps): JSX.Element | null {
  const { trans } = runtime;
  if (!job.actions.includes('rerun') || !job.lab?.input_exists || job.work.state) {
    return null;
  }
  return (
    <button
      type="button"
      className="jp-mod-styled"
      disabled={disabled}
      title={
        job.work.folder
          ? trans.__(
              'Submit the folder as it is now; the dialog begins with the choices of this job'
            )
          : trans.__('Submit the file as it is now; the dialog begins with the choices of this job')
      }
      onClick={() => void runtime.openAgain(job)}
    >
      {trans.__('Run again with changes…')}
    </button>
  );
}
