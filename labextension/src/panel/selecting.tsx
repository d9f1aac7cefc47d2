/** The bar above the list while rows are chosen: how many, and what can be done with them. */

import * as React from 'react';

import type { Runtime } from '../runtime';
import type { BulkAction, IJob } from '../types';
import { able, type ISelection } from './selection';

interface IBarProps {
  runtime: Runtime;
  jobs: readonly IJob[];
  selection: ISelection;
  busy: boolean;
  onAll: (all: boolean) => void;
  onAct: (action: BulkAction) => void;
  onLeave: () => void;
}

export function SelectionBar(props: IBarProps): JSX.Element {
  const { runtime, jobs, selection, busy } = props;
  const { trans } = runtime;
  const chosen = jobs.filter(job => selection.ids.has(job.id));
  const every = chosen.length === jobs.length && jobs.length > 0;
  const actions: [BulkAction, string][] = [
    ['cancel', trans.__('Cancel')],
    ['rerun', trans.__('Run again')],
    ['label', trans.__('Label…')],
    ['delete', trans.__('Delete')]
  ];
  return (
    <div className="aiinfn-Selecting" role="toolbar" aria-label={trans.__('The chosen jobs')}>
      <div className="aiinfn-Selecting-all">
        <input
          type="checkbox"
          aria-label={trans.__('Choose all that are shown')}
          checked={every}
          ref={box => {
            if (box) {
              box.indeterminate = chosen.length > 0 && !every;
            }
          }}
          onChange={() => props.onAll(!every)}
        />
        <span role="status">
          {chosen.length
            ? trans.__('%1 of %2 chosen', chosen.length, jobs.length)
            : trans._n('Choose the one shown', 'Choose all %1 shown', jobs.length)}
        </span>
      </div>
      <button type="button" className="aiinfn-Link" onClick={props.onLeave}>
        {trans.__('Done')}
      </button>
      <div className="aiinfn-Selecting-actions">
        {actions.map(([action, word]) => (
          <button
            key={action}
            type="button"
            className={`jp-mod-styled${action === 'delete' ? ' jp-mod-warn' : ''}`}
            disabled={busy || !able(chosen, action).length}
            onClick={() => props.onAct(action)}
          >
            {word}
          </button>
        ))}
      </div>
    </div>
  );
}
