/** The list: header, what is wrong, rows, and the words when there are none. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect, launchIcon, refreshIcon } from '@jupyterlab/ui-components';
import type { ISignal } from '@lumino/signaling';
import * as React from 'react';

import { explain, versionProblem } from '../../core/errors';
import { clock } from '../../core/format';
import { detail, type Filter, FILTERS, isFinal, stateWord } from '../../core/status';
import { CommandIDs, type IJobsModel, type ITransition } from '../../core/tokens';
import type { BulkAction, IJob } from '../../core/types';
import { Banner, useSignal } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { act, type IOutcome, Outcome } from './bulk';
import { type IRowProps, Row } from './row';
import { End, Found, SearchField, Whose } from './search';
import { type IRowSelection, NOTHING, SelectionBar, still, toggled } from './selection';
import { useWindow } from './windowed';

/** Which job of a list is open. */
export interface IListState {
  /** Emitted when the opened job changes. */
  readonly opened: ISignal<IListState, void>;
  /** The id of the job that is open, or null. */
  open: string | null;
  /** Open a job, whatever the filter hides. */
  reveal(id: string): void;
}

interface IListProps {
  state: IListState;
}

export function JobsList({ state }: IListProps): JSX.Element {
  const service = useJobs();
  const { model, trans } = service;
  useSignal(model.changed);
  useSignal(state.opened);
  const now = useClock();
  const [selecting, setSelecting] = React.useState(false);
  const [chosen, setChosen] = React.useState<IRowSelection>(NOTHING);
  const [outcome, setOutcome] = React.useState<IOutcome | null>(null);
  const [busy, setBusy] = React.useState(false);
  const box = React.useRef<HTMLDivElement>(null);
  const jobs = model.list();
  const shown = React.useMemo(() => jobs.map(job => job.id), [jobs]);
  const selection = React.useMemo(() => still(chosen, shown), [chosen, shown]);

  // The rows are drawn again only if something of them changed, so what they call must stay the same.
  const latest = React.useRef({ shown });
  latest.current = { shown };
  const onToggle = React.useCallback(
    (id: string) => (state.open = state.open === id ? null : id),
    [state]
  );
  const onReveal = React.useCallback((id: string) => state.reveal(id), [state]);
  const onChoose = React.useCallback(
    (id: string, range: boolean) =>
      setChosen(before => toggled(before, id, latest.current.shown, range)),
    []
  );
  const leave = () => {
    setSelecting(false);
    setChosen(NOTHING);
  };
  const all = (every: boolean) =>
    setChosen(every ? { ids: new Set(shown), anchor: null } : NOTHING);
  const onAct = async (action: BulkAction) => {
    setBusy(true);
    setOutcome(null);
    const done = await act(
      service,
      action,
      jobs.filter(job => selection.ids.has(job.id))
    );
    setBusy(false);
    if (done) {
      setOutcome(done);
      if (!done.refused.length) {
        setChosen(NOTHING);
      }
    }
  };
  return (
    <div
      className="aiinfn-Jobs-content"
      onKeyDown={event => {
        if (selecting && event.key === 'Escape') {
          leave();
        } else if (
          selecting &&
          event.key === 'a' &&
          (event.ctrlKey || event.metaKey) &&
          !(event.target instanceof HTMLInputElement && event.target.type === 'search')
        ) {
          event.preventDefault();
          all(true);
        }
      }}
    >
      <Header selecting={selecting} onSelect={() => (selecting ? leave() : setSelecting(true))} />
      <Problems model={model} trans={trans} now={now} />
      {selecting && jobs.length > 0 && (
        <SelectionBar
          jobs={jobs}
          selection={selection}
          busy={busy}
          onAll={all}
          onAct={action => void onAct(action)}
          onLeave={leave}
        />
      )}
      {outcome && <Outcome outcome={outcome} trans={trans} onClose={() => setOutcome(null)} />}
      <Found model={model} trans={trans} />
      <div className="aiinfn-Scroll" ref={box}>
        {jobs.length > 0 && (
          <Rows
            box={box}
            jobs={jobs}
            ids={shown}
            now={now}
            open={state.open}
            chosen={selecting ? selection.ids : null}
            onToggle={onToggle}
            onReveal={onReveal}
            onChoose={onChoose}
          />
        )}
        {!jobs.length && model.loaded && !model.busy && !model.hasMore && <Empty />}
        {!model.loaded && !model.error && (
          <p className="aiinfn-Empty" role="status">
            {trans.__('Reading the list of jobs…')}
          </p>
        )}
        <End />
      </div>
      <Announcer model={model} trans={trans} />
    </div>
  );
}

interface IRowsProps extends Pick<IRowProps, 'now' | 'onToggle' | 'onReveal' | 'onChoose'> {
  /** What scrolls. */
  box: React.RefObject<HTMLElement>;
  jobs: readonly IJob[];
  /** Of these jobs. */
  ids: readonly string[];
  /** The id of the job that is open, or null. */
  open: string | null;
  /** The ids of those that are chosen; null while rows are not chosen. */
  chosen: ReadonlySet<string> | null;
}

/** The rows; of a long list those in sight. Scrolling draws nothing else again. */
function Rows({ box, jobs, ids, now, open, chosen, ...actions }: IRowsProps): JSX.Element {
  const { trans } = useJobs();
  const { rows, after } = useWindow(box, ids, open);
  const whole = rows.length === jobs.length;
  return (
    <ul className="aiinfn-List" aria-label={trans.__('Batch jobs')}>
      {rows.map(({ index, before }, place) => {
        const job = jobs[index];
        return (
          <Row
            key={job.id}
            job={job}
            now={open === job.id ? now : tick(job, now)}
            open={open === job.id}
            chosen={chosen && chosen.has(job.id)}
            before={before}
            after={place === rows.length - 1 ? after : 0}
            number={whole ? undefined : index + 1}
            of={whole ? undefined : jobs.length}
            {...actions}
          />
        );
      })}
    </ul>
  );
}

interface IHeaderProps {
  selecting: boolean;
  onSelect: () => void;
}

function Header({ selecting, onSelect }: IHeaderProps): JSX.Element {
  const { commands, model, trans } = useJobs();
  return (
    <div className="aiinfn-Header">
      <div className="aiinfn-Header-title">
        <h2>{trans.__('Batch jobs')}</h2>
        {model.active > 0 && <span>{trans.__('%1 active', model.active)}</span>}
      </div>
      <button
        type="button"
        className="jp-ToolbarButtonComponent aiinfn-Refresh"
        title={trans.__('Read again')}
        aria-label={trans.__('Read the list again')}
        onClick={() => void model.refresh()}
      >
        <refreshIcon.react tag="span" width="16px" height="16px" aria-hidden="true" />
      </button>
      <button
        type="button"
        className="jp-ToolbarButtonComponent aiinfn-Refresh aiinfn-OpenTab"
        title={trans.__('Open in a tab')}
        aria-label={trans.__('Open the list in a tab')}
        onClick={() => void commands.execute(CommandIDs.openTab)}
      >
        <launchIcon.react tag="span" width="16px" height="16px" aria-hidden="true" />
      </button>
      <SearchField />
      <div className="aiinfn-Header-choice">
        <HTMLSelect
          className="aiinfn-Filter"
          iconProps={{ right: '6px', top: '6px' }}
          aria-label={trans.__('Which jobs to show')}
          value={model.filter}
          onChange={event => void model.setFilter(event.target.value as Filter)}
          options={FILTERS.map(filter => ({ value: filter, label: filterWord(filter, trans) }))}
        />
        <Whose />
        <button
          type="button"
          className="aiinfn-Link aiinfn-Selecting-toggle"
          aria-pressed={selecting}
          disabled={!selecting && !model.list().length}
          title={trans.__(
            'Choose several jobs, to cancel, run again, label or delete them together'
          )}
          onClick={onSelect}
        >
          {trans.__('Select')}
        </button>
      </div>
    </div>
  );
}

function filterWord(filter: Filter, trans: TranslationBundle): string {
  switch (filter) {
    case 'all':
      return trans.__('All');
    case 'active':
      return trans.__('Active');
    default:
      return stateWord(filter, trans);
  }
}

interface IProblemsProps {
  model: IJobsModel;
  trans: TranslationBundle;
  now: number;
}

/** What keeps the list from being up to date; the last list stays. */
function Problems({ model, trans, now }: IProblemsProps): JSX.Element | null {
  if (model.error) {
    const problem = explain(model.error, trans);
    return (
      <Banner problem={problem}>
        {model.readAt && (
          <div className="aiinfn-Banner-note">
            {trans.__(
              'The list below is as of %1. It is updated by itself once this is over.',
              clock(new Date(model.readAt).toISOString(), now)
            )}
          </div>
        )}
      </Banner>
    );
  }
  const version = model.status && versionProblem(model.status, trans);
  return version ? <Banner problem={version} tone="warning" /> : null;
}

/** Nothing to show: says how to get something. */
function Empty(): JSX.Element {
  const { model, trans, commands } = useJobs();
  if (model.filter !== 'all' || model.searching) {
    const all = () => {
      void model.setSearch('');
      void model.setWhose({});
      void model.setFilter('all');
    };
    return (
      <p className="aiinfn-Empty">
        {model.searching
          ? trans.__('No job matches this search.')
          : trans.__('No job matches this filter.')}
        <button type="button" className="aiinfn-Link" onClick={all}>
          {trans.__('Show all')}
        </button>
      </p>
    );
  }
  return (
    <div className="aiinfn-Empty">
      <p>
        <strong>{trans.__('No batch jobs yet.')}</strong>
      </p>
      <p>
        {trans.__(
          'Open a notebook or a script and press “Submit as batch” in its toolbar, or right-click a file in the file browser. The job runs on while you work or after you leave, and its result appears beside the file.'
        )}
      </p>
      <button
        type="button"
        className="jp-mod-styled jp-mod-accept"
        onClick={() => void commands.execute(CommandIDs.submit)}
      >
        {trans.__('Submit the current file')}
      </button>
    </div>
  );
}

/** Tells screen readers about changes of state; seen by nobody. */
function Announcer({ model, trans }: { model: IJobsModel; trans: TranslationBundle }): JSX.Element {
  const [words, setWords] = React.useState('');
  React.useEffect(() => {
    const slot = (_: IJobsModel, { job, before }: ITransition) => {
      if (before !== undefined) {
        setWords(announcement(job, trans));
      }
    };
    model.transition.connect(slot);
    return () => {
      model.transition.disconnect(slot);
    };
  }, [model, trans]);
  return (
    <div className="aiinfn-Hidden" role="status">
      {words}
    </div>
  );
}

function announcement(job: IJob, trans: TranslationBundle): string {
  const more = detail(job, trans);
  return more
    ? trans.__('%1: %2, %3', job.name, stateWord(job.state, trans), more)
    : trans.__('%1: %2', job.name, stateWord(job.state, trans));
}

/** The time as a row needs it: one that is over says only how many minutes, hours or days ago it was. */
function tick(job: IJob, now: number): number {
  if (!isFinal(job)) {
    return now;
  }
  const age = now - Date.parse(job.ended ?? job.created);
  const step = age < 3_600_000 ? 15_000 : age < 86_400_000 ? 600_000 : 3_600_000;
  return Math.floor(now / step) * step;
}

/** The time, renewed each second while the page is seen. */
function useClock(): number {
  const [now, setNow] = React.useState(Date.now());
  React.useEffect(() => {
    const timer = window.setInterval(() => {
      if (!document.hidden) {
        setNow(Date.now());
      }
    }, 1000);
    return () => window.clearInterval(timer);
  }, []);
  return now;
}
