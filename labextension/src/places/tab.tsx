/** Jobs in the main area: the list, or one job with the whole width for its log or its table of points. */

import { MainAreaWidget } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import * as React from 'react';

import { ApiError } from '../api';
import { jobsIcon } from '../icons';
import { Details } from '../panel/details';
import { JobsPanel } from '../panel/panel';
import { WatchingWidget } from '../panel/watching';
import { SweepBar } from '../sweep/bar';
import { Banner, Symbol, useSignal } from '../react';
import type { Runtime } from '../runtime';
import { CommandIDs, tabId } from '../tokens';
import type { IProblem } from '../types';
import { detail, device, explain, rowTime, rowTimeTitle, stateWord } from '../words';

/** Make the tab of a job, or of the list where no job is given. */
export function createTab(runtime: Runtime, id: string): MainAreaWidget {
  const content = id ? new JobTab(runtime, id) : new JobsPanel(runtime);
  content.addClass('aiinfn-mod-tab');
  const tab = new MainAreaWidget({ content });
  tab.id = tabId(id);
  tab.toolbar.hide();
  tab.title.label = runtime.trans.__('Batch jobs');
  tab.title.icon = jobsIcon;
  tab.title.closable = true;
  return tab;
}

/** One job. */
class JobTab extends WatchingWidget {
  constructor(
    runtime: Runtime,
    private readonly _job: string
  ) {
    super(runtime);
    this.addClass('aiinfn-mod-job');
    void runtime.readPlatform().catch(() => undefined);
  }

  protected override render(): JSX.Element {
    return (
      <JobView
        id={this._job}
        runtime={this._runtime}
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
  runtime: Runtime;
  onName: (name: string) => void;
}

function JobView({ id, runtime, onName }: IJobViewProps): JSX.Element {
  const { model, trans } = runtime;
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
      runtime.api.job(id).then(
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
        runtime={runtime}
        now={now}
        onReveal={again => void runtime.commands.execute(CommandIDs.openTab, { id: again })}
      />
    </div>
  );
}
