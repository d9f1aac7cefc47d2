/** The service behind all that is shown, for every component below a widget. */

import * as React from 'react';

import type { IJobsService } from '../tokens';

export const JobsContext = React.createContext<IJobsService | null>(null);

/** Return the service; a component that calls this stands below `JobsContext.Provider`. */
export function useJobs(): IJobsService {
  const jobs = React.useContext(JobsContext);
  if (!jobs) {
    throw new Error('There is no JobsContext.Provider above this component.');
  }
  return jobs;
}
