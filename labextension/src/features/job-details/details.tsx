/** An opened job: what happened, what can be done, its log, its choices and its history. */

import * as React from 'react';

import { descriptions } from '../../core/descriptions';
import { duration } from '../../core/format';
import { device, isFinal, outputAt } from '../../core/status';
import { CommandIDs } from '../../core/tokens';
import type { IJob } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { asPython, show, whole } from '../../core/values';
import { Log } from '../job-common/log';
import { RunWithChanges } from '../job-common/run-with-changes';
import { Failure } from './failure';
import { History } from './history';
import { LabelsAndRetention } from './labels-and-retention';

interface IDetailsProps {
  id: string;
  job: IJob;
  now: number;
  onReveal: (id: string) => void;
}

const SweepDetails = React.lazy(() => import('../sweep/details'));
const Used = React.lazy(() => import('./resources'));

export function Details({ id, job, now, onReveal }: IDetailsProps): JSX.Element {
  const { trans } = useJobs();
  return (
    <div id={id} className="aiinfn-Details">
      {job.sweep ? (
        <React.Suspense
          fallback={<p className="aiinfn-Quiet">{trans.__('Reading the points…')}</p>}
        >
          <SweepDetails job={job} onReveal={onReveal} />
        </React.Suspense>
      ) : (
        <>
          <p className="aiinfn-Details-sentence">{job.sentence}</p>
          {job.lab?.unreadable && (
            <p className="aiinfn-Quiet">
              {trans.__('Its folder cannot be read: %1.', job.lab.unreadable)}
            </p>
          )}
          <Failure job={job} />
          <Actions job={job} onReveal={onReveal} />
          <Recorded job={job} />
          {job.attempt > 0 && job.state !== 'queued' && job.state !== 'starting' && (
            <React.Suspense fallback={null}>
              <Used job={job} />
            </React.Suspense>
          )}
          <LogSection job={job} />
        </>
      )}
      <LabelsAndRetention job={job} />
      <Values job={job} />
      <Facts job={job} />
      <History job={job} now={now} />
    </div>
  );
}

type IPartProps = Pick<IDetailsProps, 'job'>;

function Actions({ job, onReveal }: IPartProps & Pick<IDetailsProps, 'onReveal'>): JSX.Element {
  const jobs = useJobs();
  const { commands, trans } = jobs;
  const [busy, setBusy] = React.useState(false);
  const during = (action: () => Promise<unknown>) => async () => {
    setBusy(true);
    try {
      await action();
    } finally {
      setBusy(false);
    }
  };
  const output = job.lab?.output;
  const input = job.lab?.input;
  const waiting = !job.lab?.output_exists;
  return (
    <div className="aiinfn-Actions">
      {output && (
        <button
          type="button"
          className="jp-mod-styled jp-mod-accept"
          disabled={waiting}
          title={
            !waiting
              ? output
              : job.lab?.unreadable
                ? trans.__('Its folder cannot be read: %1.', job.lab.unreadable)
                : isFinal(job)
                  ? trans.__('There is no output: the job did not get so far, or it was deleted.')
                  : trans.__('The output appears when the job has started.')
          }
          onClick={() => void commands.execute(CommandIDs.openOutput, outputAt(output, job))}
        >
          {job.error?.cell
            ? trans.__('Open output at cell %1', job.error.cell)
            : trans.__('Open output')}
        </button>
      )}
      {job.actions.includes('cancel') && (
        <button
          type="button"
          className="jp-mod-styled"
          disabled={busy}
          onClick={during(() => commands.execute(CommandIDs.cancel, { id: job.id }))}
        >
          {trans.__('Cancel')}
        </button>
      )}
      {job.actions.includes('rerun') && (
        <button
          type="button"
          className="jp-mod-styled"
          disabled={busy}
          title={trans.__('Submit the same file as it was, with the same choices')}
          onClick={during(async () => {
            const again = await jobs.rerun(job.id);
            if (again) {
              onReveal(again.id);
            }
          })}
        >
          {trans.__('Run again')}
        </button>
      )}
      <RunWithChanges job={job} />
      {input && job.lab?.input_exists && job.work.kind !== 'command' && (
        <button
          type="button"
          className="jp-mod-styled"
          title={input}
          onClick={() => void commands.execute(CommandIDs.openOutput, { path: input, input: true })}
        >
          {trans.__('Open input')}
        </button>
      )}
      {job.work.folder && output && job.lab?.output_exists && (
        <button
          type="button"
          className="jp-mod-styled"
          title={trans.__('Show the folder that the job ran in, with all that it wrote')}
          onClick={() =>
            void commands.execute('filebrowser:open-path', {
              path: output.slice(0, output.lastIndexOf('/'))
            })
          }
        >
          {trans.__('Show folder')}
        </button>
      )}
      <button
        type="button"
        className="jp-mod-styled aiinfn-OpenTab"
        onClick={() => void commands.execute(CommandIDs.openTab, { id: job.id })}
      >
        {trans.__('Open in a tab')}
      </button>
    </div>
  );
}

/** The log of an attempt; the last one unless another is chosen. */
function LogSection({ job }: IPartProps): JSX.Element {
  const { trans } = useJobs();
  const [chosen, setChosen] = React.useState<number | null>(null);
  const attempt = chosen ?? job.attempt;
  return (
    <section className="aiinfn-Section">
      <div className="aiinfn-Section-head">
        <h3>{trans.__('Log')}</h3>
        {job.attempt > 1 && (
          <select
            aria-label={trans.__('Attempt whose log is shown')}
            value={attempt}
            onChange={event => {
              const value = Number(event.target.value);
              setChosen(value === job.attempt ? null : value);
            }}
          >
            {Array.from({ length: job.attempt }, (_, index) => index + 1).map(number => (
              <option key={number} value={number}>
                {trans.__('attempt %1', number)}
              </option>
            ))}
          </select>
        )}
      </div>
      {attempt > 0 ? (
        <Log
          key={`${job.id}:${attempt}`}
          id={job.id}
          name={job.name}
          over={isFinal(job)}
          attempt={attempt}
        />
      ) : (
        <p className="aiinfn-Quiet">
          {isFinal(job)
            ? trans.__('There is no log: the job was never started.')
            : trans.__('The log appears here when the job starts.')}
        </p>
      )}
    </section>
  );
}

/** What the job recorded by `aiinfn_lab.record`. */
function Recorded({ job }: IPartProps): JSX.Element | null {
  const { trans } = useJobs();
  const values = Object.entries(job.values ?? {});
  return values.length ? (
    <section className="aiinfn-Section">
      <h3>{trans.__('Recorded')}</h3>
      <dl className="aiinfn-Facts aiinfn-mod-code">
        {values.map(([name, value]) => (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd title={whole(value)}>{show(value)}</dd>
          </React.Fragment>
        ))}
      </dl>
    </section>
  ) : null;
}

/** Parameters or arguments. */
function Values({ job }: IPartProps): JSX.Element | null {
  const { trans } = useJobs();
  const { kind, parameters, arguments: list } = job.work;
  const names = Object.keys(parameters ?? {});
  if (kind === 'command') {
    return (
      <section className="aiinfn-Section">
        <h3>{trans.__('Command')}</h3>
        <code className="aiinfn-Arguments">{job.work.command}</code>
      </section>
    );
  }
  // Of a kind that is not known here, what there is.
  const byName = kind === 'notebook' || (kind !== 'script' && names.length > 0);
  if (byName ? !names.length : !list?.length) {
    return null;
  }
  return (
    <section className="aiinfn-Section">
      <h3>{byName ? trans.__('Parameters') : trans.__('Arguments')}</h3>
      {byName ? (
        <dl className="aiinfn-Facts aiinfn-mod-code">
          {names.map(name => (
            <React.Fragment key={name}>
              <dt>{name}</dt>
              <dd>{asPython(parameters[name])}</dd>
            </React.Fragment>
          ))}
        </dl>
      ) : (
        <code className="aiinfn-Arguments">
          {list.map(item => (/^[\w./:=@%+-]+$/.test(item) ? item : JSON.stringify(item))).join(' ')}
        </code>
      )}
    </section>
  );
}

function Facts({ job }: IPartProps): JSX.Element {
  const { platform, trans } = useJobs();
  const title = (choices: { name: string; title: string }[] | undefined, name: string) =>
    choices?.find(choice => choice.name === name)?.title ?? name;
  const { kind, path } = job.work;
  const known = ['notebook', 'script', 'command'].includes(kind);
  const facts: [string, React.ReactNode][] = [
    [
      kind === 'command' ? trans.__('Folder') : trans.__('File'),
      known ? path : `${path} (${kind})`
    ],
    [trans.__('Device'), device(job, trans)],
    [trans.__('Queue'), title(platform?.queues, job.queue)],
    [trans.__('Project'), title(platform?.projects, job.project)],
    [trans.__('Environment'), title(platform?.images, job.image)],
    [trans.__('Size'), title(platform?.sizes, job.size)],
    [trans.__('Time limit'), duration(job.time_limit, trans)]
  ];
  for (const { key, label } of descriptions(trans)) {
    // Its name is above.
    if (key !== 'name' && job[key]) {
      facts.push([label, String(job[key])]);
    }
  }
  if (job.owner !== platform?.user) {
    facts.unshift([trans.__('Owner'), job.owner]);
  }
  if (job.started && job.ended) {
    const seconds = (Date.parse(job.ended) - Date.parse(job.started)) / 1000;
    facts.push([trans.__('Took'), duration(seconds, trans)]);
  }
  if (job.sweep) {
    facts.push([trans.__('At most at once'), String(job.sweep.parallelism)]);
  }
  if (job.preemptions > 0) {
    facts.push([
      trans.__('Made room'),
      trans._n('%1 time for a session', '%1 times for sessions', job.preemptions)
    ]);
  }
  return (
    <section className="aiinfn-Section">
      <h3>{trans.__('Choices')}</h3>
      <dl className="aiinfn-Facts">
        {facts.map(([name, value]) => (
          <React.Fragment key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </React.Fragment>
        ))}
      </dl>
    </section>
  );
}
