/** Above the list: what is looked for, and whose jobs. */

import type { TranslationBundle } from '@jupyterlab/translation';
import { HTMLSelect, InputGroup } from '@jupyterlab/ui-components';
import * as React from 'react';

import { absolute } from '../../core/format';
import type { IJobsModel } from '../../core/tokens';
import { useJobs } from '../../core/ui/context';

/** Milliseconds without a key after which what is typed is looked for. */
const PAUSE = 250;

export function SearchField(): JSX.Element {
  const { model, trans } = useJobs();
  const [typed, setTyped] = React.useState(model.search);
  const [seen, setSeen] = React.useState(model.search);
  // Somebody else may clear it, as by showing a job.
  if (model.search !== seen) {
    setSeen(model.search);
    setTyped(model.search);
  }
  const look = (text: string) => {
    if (text !== model.search) {
      setSeen(text);
      void model.setSearch(text);
    }
  };
  React.useEffect(() => {
    const timer = window.setTimeout(() => look(typed), PAUSE);
    return () => window.clearTimeout(timer);
  });
  return (
    <div className="aiinfn-Search">
      <InputGroup
        type="search"
        value={typed}
        maxLength={200}
        rightIcon="ui-components:search"
        placeholder={trans.__('Search all jobs')}
        aria-label={trans.__('Search all jobs by name, path, label, id or error')}
        title={trans.__(
          'Words of the name, path, labels, id or error. label:paper-2026 lists a label, owner:NAME the jobs of somebody.'
        )}
        onChange={event => setTyped(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Enter') {
            look(typed);
          } else if (event.key === 'Escape' && typed) {
            event.stopPropagation();
            setTyped('');
            look('');
          }
        }}
      />
    </div>
  );
}

/** For who sees the jobs of others: own jobs, those of a project, or all. */
export function Whose(): JSX.Element | null {
  const { model, trans, platform } = useJobs();
  const [chosen, setChosen] = React.useState('');
  const managed = platform?.projects.filter(project => project.manager) ?? [];
  if (!platform || !(platform.admin || managed.length)) {
    return null;
  }
  const projects = platform.admin ? platform.projects : managed;
  const choose = (value: string) => {
    setChosen(value);
    const [kind, name] = [value.slice(0, 1), value.slice(1)];
    void model.setWhose(kind === 'o' ? { owner: name } : kind === 'p' ? { project: name } : {});
  };
  return (
    <HTMLSelect
      className="aiinfn-Filter"
      iconProps={{ right: '6px', top: '6px' }}
      aria-label={trans.__('Whose jobs to show')}
      value={model.searching || !chosen ? chosen : ''}
      onChange={event => choose(event.target.value)}
      options={[
        { value: '', label: trans.__('All that I may see') },
        { value: `o${platform.user}`, label: trans.__('My jobs') },
        ...projects.map(project => ({ value: `p${project.name}`, label: project.title }))
      ]}
    />
  );
}

/** What a search has found, for who does not see the list grow. */
export function Found({
  model,
  trans
}: {
  model: IJobsModel;
  trans: TranslationBundle;
}): JSX.Element {
  const number = model.list().length;
  const words = !model.searching
    ? ''
    : model.busy
      ? trans.__('Searching…')
      : model.hasMore
        ? trans._n('%1 job found so far', '%1 jobs found so far', number)
        : trans._n('%1 job found', '%1 jobs found', number);
  return (
    <div className={words ? 'aiinfn-Found' : 'aiinfn-Hidden'} role="status">
      {words}
    </div>
  );
}

/** At the end of the list: how to see more, or how long jobs are kept. */
export function End(): JSX.Element | null {
  const { model, trans, platform } = useJobs();
  if (model.hasMore) {
    return (
      <div className="aiinfn-More">
        {model.searchedTo && <p>{trans.__('Searched back to %1.', absolute(model.searchedTo))}</p>}
        <button
          type="button"
          className="jp-mod-styled jp-mod-minimal"
          disabled={model.busy}
          onClick={() => void model.more()}
        >
          {model.searchedTo ? trans.__('Search further back') : trans.__('Show more')}
        </button>
      </div>
    );
  }
  const days = Math.round((platform?.keep_jobs ?? 0) / 86400);
  if (!days || !model.loaded || model.searching || !model.list().length) {
    return null;
  }
  return (
    <p className="aiinfn-Kept">
      {trans._n(
        'Jobs are kept for %1 day after their end.',
        'Jobs are kept for %1 days after their end.',
        days
      )}
    </p>
  );
}
