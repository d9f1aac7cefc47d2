/** Which rows are chosen, what can be done with them, and the bar above the list that says so. */

import * as React from 'react';

import type { BulkAction, IBulkResult, IJob } from '../../core/types';
import { useJobs } from '../../core/ui/context';

/** Chosen jobs, and the one from which a range goes on. */
export interface IRowSelection {
  ids: ReadonlySet<string>;
  anchor: string | null;
}

export const NOTHING: IRowSelection = { ids: new Set(), anchor: null };

/**
 * Choose a row or let it go.
 *
 * @param shown - The ids of all rows, in their order.
 * @param range - Do the same with all rows between the one before and this one.
 */
export function toggled(
  before: IRowSelection,
  id: string,
  shown: readonly string[],
  range: boolean
): IRowSelection {
  const chosen = !before.ids.has(id);
  const ids = new Set(before.ids);
  const [from, to] = [shown.indexOf(before.anchor ?? ''), shown.indexOf(id)];
  const between =
    range && from >= 0 && to >= 0 ? shown.slice(Math.min(from, to), Math.max(from, to) + 1) : [id];
  between.forEach(one => (chosen ? ids.add(one) : ids.delete(one)));
  return { ids, anchor: id };
}

/** Drop what is not shown any more. */
export function still(before: IRowSelection, shown: readonly string[]): IRowSelection {
  const there = new Set(shown);
  const ids = [...before.ids].filter(id => there.has(id));
  return ids.length === before.ids.size ? before : { ids: new Set(ids), anchor: before.anchor };
}

/** The chosen jobs with which something can be done. */
export function able(jobs: readonly IJob[], action: BulkAction): IJob[] {
  const needed = action === 'label' ? 'edit' : action;
  return jobs.filter(job => job.actions.includes(needed));
}

/** Read the labels that were typed: those to give, and after a minus sign those to take away. */
export function readLabels(typed: string): { add_labels: string[]; remove_labels: string[] } {
  const words = typed.split(/[\s,]+/).filter(Boolean);
  return {
    add_labels: words.filter(word => !word.startsWith('-')),
    remove_labels: words
      .filter(word => word.startsWith('-') && word.length > 1)
      .map(word => word.slice(1))
  };
}

/** What was refused, each sentence once with the ids that it is about. */
export function refusals(results: readonly IBulkResult[]): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { id, problem } of results) {
    if (problem) {
      const sentence = [problem.message, problem.hint].filter(Boolean).join(' ');
      found.set(sentence, [...(found.get(sentence) ?? []), id]);
    }
  }
  return found;
}

interface IBarProps {
  jobs: readonly IJob[];
  selection: IRowSelection;
  busy: boolean;
  onAll: (all: boolean) => void;
  onAct: (action: BulkAction) => void;
  onLeave: () => void;
}

export function SelectionBar(props: IBarProps): JSX.Element {
  const { jobs, selection, busy } = props;
  const { trans } = useJobs();
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
