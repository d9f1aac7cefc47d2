/** The button that opens the dialog with the choices of a job. */

import * as React from 'react';

import type { IJob } from '../../core/types';
import { useJobs } from '../../core/ui/context';

interface IRunWithChangesProps {
  job: IJob;
  disabled?: boolean;
}

/** Draws nothing where the file is gone, or the job went on from a kernel whose state it took along. */
export function RunWithChanges({ job, disabled }: IRunWithChangesProps): JSX.Element | null {
  const jobs = useJobs();
  const { trans } = jobs;
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
      onClick={() => void jobs.openAgain(job)}
    >
      {trans.__('Run again with changes…')}
    </button>
  );
}
