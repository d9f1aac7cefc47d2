/** The error of the person's own code: where it is, what it says, and what was printed before it. */

import * as React from 'react';

import type { IJob } from '../../core/types';
import { useJobs } from '../../core/ui/context';

interface IFailureProps {
  job: IJob;
}

export function Failure({ job }: IFailureProps): JSX.Element | null {
  const { trans } = useJobs();
  const { error } = job;
  const end = React.useRef<HTMLPreElement>(null);
  React.useLayoutEffect(() => {
    // The end of a traceback, and of a log, is where the error is.
    if (end.current) {
      end.current.scrollTop = end.current.scrollHeight;
    }
  }, [error?.traceback]);
  if (!error) {
    return null;
  }
  const whole = error.message ? `${error.name}: ${error.message}` : error.name;
  // The sentence above has the error's first line, shortened.
  const said = job.sentence.endsWith(whole.trim());
  if (said && !error.traceback) {
    return null;
  }
  const script = job.work.kind === 'script';
  return (
    <div className="aiinfn-Failure">
      {!said && <code>{whole}</code>}
      {error.traceback && (
        <details open>
          <summary>{script ? trans.__('Last lines of the log') : trans.__('Traceback')}</summary>
          <pre ref={end} tabIndex={0}>
            {error.traceback}
          </pre>
        </details>
      )}
    </div>
  );
}
