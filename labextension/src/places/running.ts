/** A job as JupyterLab's panel of running sessions lists it. */

import type { IRunningSessions } from '@jupyterlab/running';

import { jobsIcon } from '../icons';
import type { Runtime } from '../runtime';
import { CommandIDs } from '../tokens';
import { detail, stateWord } from '../words';

/** The jobs that are not over, with what can be done about them. */
export function runningItems(runtime: Runtime): IRunningSessions.IRunningItem[] {
  const { commands, mine, trans } = runtime;
  return mine.list.map(job => {
    const more = detail(job, trans);
    const state = stateWord(job.state, trans);
    return {
      label: () => job.name,
      labelTitle: () => job.sentence,
      icon: () => jobsIcon,
      detail: () => (more ? trans.__('%1: %2', state, more) : state),
      open: () => void commands.execute(CommandIDs.openJobs, { id: job.id }),
      shutdown: job.actions.includes('cancel') ? () => void runtime.cancel(job.id) : undefined
    };
  });
}
