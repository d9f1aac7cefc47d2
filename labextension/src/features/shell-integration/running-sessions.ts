/** A job as JupyterLab's panel of running sessions lists it. */

import type { IRunningSessions } from '@jupyterlab/running';

import { jobsIcon } from '../../core/icons';
import { detail, stateWord } from '../../core/status';
import { CommandIDs, type IJobsService } from '../../core/tokens';

/** The jobs that are not over, with what can be done about them. */
export function runningItems(service: IJobsService): IRunningSessions.IRunningItem[] {
  const { commands, own, trans } = service;
  return own.list.map(job => {
    const more = detail(job, trans);
    const state = stateWord(job.state, trans);
    return {
      label: () => job.name,
      labelTitle: () => job.sentence,
      icon: () => jobsIcon,
      detail: () => (more ? trans.__('%1: %2', state, more) : state),
      open: () => void commands.execute(CommandIDs.openJobs, { id: job.id }),
      shutdown: job.actions.includes('cancel') ? () => void service.cancel(job.id) : undefined
    };
  });
}
