/** What happened to a job: every change of state with its reason, and what happened while it started. */

import * as React from 'react';

import { explain } from '../../core/errors';
import { absolute, clock } from '../../core/format';
import { stateWord } from '../../core/status';
import type { IHistoryEntry, IJob } from '../../core/types';
import { useJobs } from '../../core/ui/context';

/** Milliseconds between two readings of a job that starts. */
const PACE = 2500;

interface IHistoryProps {
  job: IJob;
  now: number;
}

export function History({ job, now }: IHistoryProps): JSX.Element {
  const { api, trans } = useJobs();
  const [entries, setEntries] = React.useState<IHistoryEntry[] | null>(null);
  const [error, setError] = React.useState('');
  const { id, state, attempt } = job;
  React.useEffect(() => {
    let current = true;
    const read = () =>
      api.events(id).then(
        found => {
          if (current) {
            setEntries(found);
            setError('');
          }
        },
        reason => {
          if (current) {
            setError(explain(reason, trans).message);
          }
        }
      );
    void read();
    // What happens at a start is written a moment after it happened.
    const timers =
      state === 'starting'
        ? [window.setInterval(() => document.hidden || void read(), PACE)]
        : [window.setTimeout(() => void read(), PACE)];
    return () => {
      current = false;
      timers.forEach(timer => window.clearInterval(timer));
    };
  }, [api, trans, id, state, attempt]);
  return (
    <section className="aiinfn-Section">
      <h3>{trans.__('History')}</h3>
      {error && <p className="aiinfn-Quiet">{error}</p>}
      <ol className="aiinfn-History">
        {entries?.map((entry, index) => (
          <li key={index}>
            <Moment time={entry.time} now={now} />
            <span>
              {entry.message || stateWord(entry.state, trans)}
              <Startup entry={entry} now={now} open={index === entries.length - 1} />
            </span>
          </li>
        ))}
      </ol>
    </section>
  );
}

function Moment({ time, now }: { time: string; now: number }): JSX.Element {
  return (
    <time dateTime={time} title={absolute(time)}>
      {clock(time, now)}
    </time>
  );
}

interface IStartupProps {
  entry: IHistoryEntry;
  now: number;
  /** Whether it is what happens now. */
  open: boolean;
}

function Startup({ entry, now, open }: IStartupProps): JSX.Element | null {
  const { trans } = useJobs();
  const steps = entry.startup ?? [];
  return steps.length ? (
    <details className="aiinfn-Startup" open={open}>
      <summary>{trans.__('What happened at its start')}</summary>
      <ol>
        {steps.map((step, index) => (
          <li key={index}>
            <Moment time={step.time} now={now} />
            <span>{step.message}</span>
          </li>
        ))}
      </ol>
    </details>
  ) : null;
}
