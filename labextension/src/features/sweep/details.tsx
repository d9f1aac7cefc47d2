/** An opened sweep: what can be done with it, and the table of its points. Loaded when the first one is opened. */

import * as React from 'react';

import { explain } from '../../core/errors';
import { CommandIDs } from '../../core/tokens';
import type { IJob } from '../../core/types';
import { Banner } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { RunWithChanges } from '../job-common/run-with-changes';
import { saveCsv } from './csv';
import { PointsTable } from './points';
import { usePoints } from './use-points';

export interface ISweepDetailsProps {
  job: IJob;
  onReveal: (id: string) => void;
}

export default function SweepDetails(props: ISweepDetailsProps): JSX.Element {
  const { job, onReveal } = props;
  const { api, trans } = useJobs();
  const { points, error } = usePoints(api, job);
  const latest = React.useRef(onReveal);
  latest.current = onReveal;
  const reveal = React.useCallback((id: string) => latest.current(id), []);
  return (
    <>
      <Actions job={job} onReveal={onReveal} />
      <section className="aiinfn-Section">
        <h3>{trans.__('Points')}</h3>
        {error !== null && <Banner problem={explain(error, trans)} />}
        {points ? (
          <PointsTable
            id={job.id}
            name={job.name}
            mayRerun={job.actions.includes('rerun')}
            points={points}
            onReveal={reveal}
          />
        ) : (
          error === null && <p className="aiinfn-Quiet">{trans.__('Reading the points…')}</p>
        )}
      </section>
    </>
  );
}

function Actions({ job, onReveal }: ISweepDetailsProps): JSX.Element {
  const jobs = useJobs();
  const { trans, commands } = jobs;
  const [busy, setBusy] = React.useState(false);
  const [told, setTold] = React.useState<ITold | null>(null);
  const during = (action: () => Promise<unknown>) => async () => {
    setBusy(true);
    setTold(null);
    try {
      await action();
    } finally {
      setBusy(false);
    }
  };
  const again = (points: string) =>
    during(async () => {
      const job_ = await jobs.rerun(job.id, points);
      if (job_) {
        onReveal(job_.id);
      }
    });
  const save = during(async () => {
    try {
      const path = await saveCsv(jobs, job);
      setTold({ words: path ? trans.__('Saved as %1', path) : trans.__('Downloaded.'), path });
    } catch (reason) {
      const { message, hint } = explain(reason, trans);
      setTold({ words: [message, hint].join(' '), path: null });
    }
  });
  const { failed = 0, cancelled = 0, points = 0 } = job.sweep ?? {};
  const folder = job.lab?.output;
  const input = job.lab?.input_exists ? job.lab.input : null;
  const button = (words: string, onClick: () => unknown, title?: string, accept = false) => (
    <button
      type="button"
      className={`jp-mod-styled${accept ? ' jp-mod-accept' : ''}`}
      disabled={busy}
      title={title}
      onClick={() => void onClick()}
    >
      {words}
    </button>
  );
  const rerun = job.actions.includes('rerun');
  return (
    <>
      <div className="aiinfn-Actions">
        {rerun &&
          failed + cancelled > 0 &&
          button(
            failed ? trans.__('Run failed again') : trans.__('Run cancelled again'),
            again('failed'),
            trans._n(
              'The %1 point that did not succeed, in a new sweep that keeps the other results',
              'The %1 points that did not succeed, in a new sweep that keeps the other results',
              failed + cancelled
            ),
            true
          )}
        {job.actions.includes('cancel') &&
          button(
            trans.__('Cancel the rest'),
            during(() => jobs.cancel(job.id)),
            trans.__('Results that are there are kept')
          )}
        {button(trans.__('Export as CSV'), save, trans.__('The table of all points'))}
        {rerun &&
          failed + cancelled < points &&
          button(trans.__('Run all again'), again('all'), trans.__('All points, in a new sweep'))}
        <RunWithChanges job={job} disabled={busy} />
        {folder &&
          job.lab?.output_exists &&
          button(
            trans.__('Show folder'),
            () => commands.execute('filebrowser:open-path', { path: folder }),
            folder
          )}
        {input &&
          button(
            trans.__('Open input'),
            () => commands.execute(CommandIDs.openOutput, { path: input, input: true }),
            input
          )}
        <span className="aiinfn-OpenTab">
          {button(
            trans.__('Open in a tab'),
            () => commands.execute(CommandIDs.openTab, { id: job.id }),
            trans.__('With room for all columns')
          )}
        </span>
      </div>
      <p className="aiinfn-Quiet aiinfn-Told" role="status">
        {told?.words}
        {told?.path && (
          <button
            type="button"
            className="aiinfn-Link"
            onClick={() => void commands.execute('docmanager:open', { path: told.path ?? '' })}
          >
            {trans.__('Open')}
          </button>
        )}
      </p>
    </>
  );
}

interface ITold {
  words: string;
  path: string | null;
}
