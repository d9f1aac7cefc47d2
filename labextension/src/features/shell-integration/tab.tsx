/** Jobs in the main area: the list, or one job with the whole width for its log or its table of points. */

import { MainAreaWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { ApiError } from '../../core/api';
import { explain } from '../../core/errors';
import { jobsIcon } from '../../core/icons';
import { detail, device, rowTime, rowTimeTitle, stateWord } from '../../core/status';
import { CommandIDs, type IJobsService, tabId } from '../../core/tokens';
import type { IProblem } from '../../core/types';
import { Banner, Symbol, useSignal } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { JobsWidget } from '../../core/ui/jobs-widget';
import { Details } from '../job-details/details';
import { JobsPanel } from '../jobs-panel/panel';
import { SweepBar } from '../sweep/bar';

/** Make the tab of a job, or of the list where no job is given. */
export function createTab(jobs: IJobsService, id: string): MainAreaWidget {
  const content = id ? new JobTab(jobs, id) : new JobsPanel(jobs);
  content.addClass('aiinfn-mod-tab');
  const tab = new MainAreaWidget({ content });
  tab.id = tabId(id);
  tab.toolbar.hide();
  tab.title.label = jobs.trans.__('Batch jobs');
  tab.title.icon = jobsIcon;
  tab.title.closable = true;
  return tab;
}

/** One job. */
class JobTab extends JobsWidget {
  constructor(
    jobs: IJobsService,
    private readonly _job: string
  ) {
    super(jobs);
    this.addClass('aiinfn-mod-job');
    void jobs.readPlatform().catch(() => undefined);
  }

  protected override content(): JSX.Element {
    return (
      <JobView
        id={this._job}
        onName={name => {
          const { title } = this.parent ?? this;
          title.label = name;
          title.caption = name;
        }}
      />
    );
  }

  protected override onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.node.querySelector<HTMLElement>('button')?.focus();
  }
}

interface IJobViewProps {
  id: string;
  onName: (name: string) => void;
}

function JobView({ id, onName }: IJobViewProps): JSX.Element {
  const { api, commands, model, trans } = useJobs();
  useSignal(model.changed);
  const [now, tick] = React.useReducer(() => Date.now(), Date.now());
  React.useEffect(() => {
    const timer = window.setInterval(() => document.hidden || tick(), 1000);
    return () => window.clearInterval(timer);
  }, []);
  const job = model.get(id);
  const [problem, setProblem] = React.useState<IProblem | null>(null);
  React.useEffect(() => {
    if (!job) {
      // It is on no page that was read; again whenever the list was, if that failed.
      api.job(id).then(
        found => {
          setProblem(null);
          model.merge(found);
        },
        error =>
          setProblem(
            error instanceof ApiError && error.status === 404
              ? { ...error.problem, message: trans.__('There is no such job any more.'), hint: '' }
              : explain(error, trans)
          )
      );
    }
  }, [id, !job, model.readAt]);
  const name = job?.name;
  React.useEffect(() => {
    if (name) {
      onName(name);
    }
  }, [name]);
  if (!job) {
    return problem ? (
      <Banner problem={problem} />
    ) : (
      <p className="aiinfn-Empty" role="status">
        {trans.__('Reading the job…')}
      </p>
    );
  }
  const more = job.sweep ? '' : detail(job, trans);
  return (
    <div className="aiinfn-Scroll" role="region" aria-label={job.name}>
      <header className="aiinfn-Tab-head">
        <h2>
          <Symbol name={job.state} /> {job.name}
        </h2>
        <p>
          <strong>{stateWord(job.state, trans)}</strong>
          {more && ` · ${more}`}
          {` · ${device(job, trans)} · `}
          <span title={rowTimeTitle(job, trans)}>{rowTime(job, now, trans)}</span>
        </p>
        {job.sweep && <SweepBar job={job} progress={job.sweep} trans={trans} />}
      </header>
      <Details
        id={`aiinfn-tab-${job.id}`}
        job={job}
        now={now}
        onReveal={again => void commands.execute(CommandIDs.openTab, { id: again })}
      />
    </div>
  );
}
