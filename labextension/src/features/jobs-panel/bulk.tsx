/** What is done with many jobs at once: one question with their number, one request, and what became of it. */

import { Dialog, InputDialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { UUID } from '@lumino/coreutils';
import * as React from 'react';

import { explain } from '../../core/errors';
import type { IJobsService } from '../../core/tokens';
import type { BulkAction, IBulkResult, IJob } from '../../core/types';
import { Symbol } from '../../core/ui/components';
import { able, readLabels, refusals } from './selection';

/** What became of it, in a sentence, with what was refused. */
export interface IOutcome {
  sentence: string;
  refused: { sentence: string; names: string[] }[];
}

const MOST_NAMES = 5;

/** Ask, do it, and tell; null if nothing was to be done. */
export async function act(
  service: IJobsService,
  action: BulkAction,
  jobs: readonly IJob[]
): Promise<IOutcome | null> {
  const { trans, model } = service;
  let labels: { add_labels: string[]; remove_labels: string[] } | undefined;
  if (action === 'label') {
    const answer = await InputDialog.getText({
      title: trans._n('Labels of %1 job', 'Labels of %1 jobs', jobs.length),
      label: trans.__(
        'Words such as paper-2026, separated by blanks. A minus sign before one takes it away.'
      ),
      okLabel: trans.__('Change')
    });
    labels = readLabels(answer.value ?? '');
    if (!answer.button.accept || !(labels.add_labels.length || labels.remove_labels.length)) {
      return null;
    }
  } else if (!(await agreed(action, jobs, trans))) {
    return null;
  }
  try {
    const ids = jobs.map(job => job.id);
    const results = await model.bulk(action, ids, UUID.uuid4(), labels);
    results.forEach(result => {
      if (action === 'rerun' && result.job) {
        model.follow(result.job.id);
      }
    });
    return outcome(action, results, jobs, trans);
  } catch (error) {
    const problem = explain(error, trans);
    return { sentence: [problem.message, problem.hint].filter(Boolean).join(' '), refused: [] };
  }
}

async function agreed(
  action: BulkAction,
  jobs: readonly IJob[],
  trans: TranslationBundle
): Promise<boolean> {
  const number = jobs.length;
  const words = {
    cancel: {
      title: trans._n('Cancel %1 job?', 'Cancel %1 jobs?', number),
      body: trans.__('They are stopped. What they have written so far is kept.'),
      keep: trans.__('Keep them'),
      go: trans._n('Cancel %1 job', 'Cancel %1 jobs', number)
    },
    rerun: {
      title: trans._n('Run %1 job again?', 'Run %1 jobs again?', number),
      body: trans.__('Each is submitted once more, with its file as it was and the same choices.'),
      keep: trans.__('Leave it'),
      go: trans._n('Run %1 job again', 'Run %1 jobs again', number)
    },
    delete: {
      title: trans._n('Delete %1 job?', 'Delete %1 jobs?', number),
      body: trans.__(
        'Their logs and the copies of their input are deleted too, and of a sweep all its points. Your own files stay. This cannot be undone.'
      ),
      keep: trans.__('Keep them'),
      go: trans._n('Delete %1 job', 'Delete %1 jobs', number)
    }
  }[action as 'cancel' | 'rerun' | 'delete'];
  const cannot = number - able(jobs, action).length;
  const left = cannot
    ? trans._n(
        'This is not possible for %1 of them, which stays as it is.',
        'This is not possible for %1 of them, which stay as they are.',
        cannot
      )
    : '';
  const button = action === 'rerun' ? Dialog.okButton : Dialog.warnButton;
  const answer = await showDialog({
    title: words.title,
    body: [words.body, left].filter(Boolean).join(' '),
    buttons: [Dialog.cancelButton({ label: words.keep }), button({ label: words.go })]
  });
  return answer.button.accept;
}

/** Put what became of it into words. */
export function outcome(
  action: BulkAction,
  results: readonly IBulkResult[],
  jobs: readonly IJob[],
  trans: TranslationBundle
): IOutcome {
  const good = results.filter(result => !result.problem).length;
  const all = results.length;
  const names = new Map(jobs.map(job => [job.id, job.name]));
  const done = {
    cancel: trans._n('%2 of %1 job told to stop.', '%2 of %1 jobs told to stop.', all, good),
    rerun: trans._n('%2 of %1 job submitted again.', '%2 of %1 jobs submitted again.', all, good),
    delete: trans._n('%2 of %1 job deleted.', '%2 of %1 jobs deleted.', all, good),
    label: trans._n('%2 of %1 job labelled.', '%2 of %1 jobs labelled.', all, good)
  }[action];
  return {
    sentence: done,
    refused: [...refusals(results)].map(([sentence, ids]) => ({
      sentence,
      names: ids.map(id => names.get(id) ?? id)
    }))
  };
}

interface IOutcomeProps {
  outcome: IOutcome;
  trans: TranslationBundle;
  onClose: () => void;
}

/** Tells it above the list, until it is closed. */
export function Outcome({ outcome: told, trans, onClose }: IOutcomeProps): JSX.Element {
  const bad = told.refused.length > 0;
  return (
    <div className={`aiinfn-Banner aiinfn-mod-${bad ? 'warning' : 'info'}`} role="status">
      <Symbol name={bad ? 'notice' : 'succeeded'} />
      <div className="aiinfn-Banner-text">
        <strong>{told.sentence}</strong>
        {told.refused.map(({ sentence, names }) => (
          <div key={sentence} className="aiinfn-Banner-note">
            {trans.__('%1: %2', listed(names, trans), sentence)}
          </div>
        ))}
        <button type="button" className="aiinfn-Link" onClick={onClose}>
          {trans.__('Close')}
        </button>
      </div>
    </div>
  );
}

function listed(names: readonly string[], trans: TranslationBundle): string {
  const shown = names.slice(0, MOST_NAMES).join(', ');
  const rest = names.length - MOST_NAMES;
  return rest > 0 ? trans._n('%2 and %1 other', '%2 and %1 others', rest, shown) : shown;
}
