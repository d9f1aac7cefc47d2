/** A job in the list: one line of words, which opens into its details. */

import * as React from 'react';

import { detail, device, rowTime, rowTimeTitle, stateWord } from '../../core/status';
import type { IJob } from '../../core/types';
import { Symbol } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { Details } from '../job-details/details';
import { SweepBar } from '../sweep/bar';

export interface IRowProps {
  job: IJob;
  now: number;
  open: boolean;
  /** Whether it is chosen; null while rows are not chosen. */
  chosen: boolean | null;
  /** Pixels of rows that are not drawn, before it and behind it. */
  before: number;
  after: number;
  /** Its place in the list, from 1, and the length of that; of a list that is not drawn whole. */
  number: number | undefined;
  of: number | undefined;
  onToggle: (id: string) => void;
  onReveal: (id: string) => void;
  onChoose: (id: string, range: boolean) => void;
}

export const Row = React.memo(function Row(props: IRowProps): JSX.Element {
  const { job, now, open, chosen, before, after, onToggle, onReveal, onChoose } = props;
  const { trans } = useJobs();
  const more = detail(job, trans);
  const details = `aiinfn-job-${job.id}`;
  return (
    <li
      className={`aiinfn-Row${open ? ' aiinfn-mod-open' : ''}${chosen === null ? '' : ' aiinfn-mod-choosing'}`}
      style={before || after ? { marginTop: before, marginBottom: after } : undefined}
      aria-posinset={props.number}
      aria-setsize={props.of}
      data-job={job.id}
    >
      {chosen !== null && (
        <input
          type="checkbox"
          className="aiinfn-Row-box"
          aria-label={trans.__('Choose %1', job.name)}
          checked={chosen}
          onClick={event => onChoose(job.id, event.shiftKey)}
          onChange={() => undefined}
        />
      )}
      <button
        type="button"
        className="aiinfn-Row-head"
        aria-expanded={open}
        aria-controls={open ? details : undefined}
        onClick={event => (chosen === null ? onToggle(job.id) : onChoose(job.id, event.shiftKey))}
      >
        <Symbol name={job.state} />
        <span className="aiinfn-Row-words">
          <span className="aiinfn-Row-line">
            <span className="aiinfn-Row-name" title={job.work.path}>
              {job.name}
            </span>
            <span className="aiinfn-Row-time" title={rowTimeTitle(job, trans)}>
              {rowTime(job, now, trans)}
            </span>
          </span>
          <span className="aiinfn-Row-state">
            <strong>{job.sweep ? job.sentence : stateWord(job.state, trans)}</strong>
            {more && !job.sweep && <Detail>{more}</Detail>}
            <Detail className="aiinfn-Row-device">
              {device({ ...job, simulated: false }, trans)}
            </Detail>
            {job.labels.map(label => (
              <span key={label} className="aiinfn-Label">
                {label}
              </span>
            ))}
          </span>
        </span>
      </button>
      {job.sweep && <SweepBar job={job} progress={job.sweep} trans={trans} />}
      {job.state === 'running' && job.progress && (
        <div
          className="aiinfn-Progress"
          role="progressbar"
          aria-label={trans.__('Progress of %1', job.name)}
          aria-valuemin={0}
          aria-valuemax={job.progress.cells}
          aria-valuenow={job.progress.cell}
          aria-valuetext={more}
        >
          <span
            style={{ width: `${(100 * job.progress.cell) / Math.max(1, job.progress.cells)}%` }}
          />
        </div>
      )}
      {open && <Details id={details} job={job} now={now} onReveal={onReveal} />}
    </li>
  );
});

interface IDetailProps {
  children: string;
  className?: string;
}

/** A part of a row's second line. */
function Detail({ children, className = '' }: IDetailProps): JSX.Element {
  return (
    <>
      <span className="aiinfn-Row-dot" aria-hidden="true">
        {' · '}
      </span>
      <span className={`aiinfn-Row-detail ${className}`}>{children}</span>
    </>
  );
}
