/** In an opened job: its labels, how long it is kept, and what else can be done when it is over. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { explain } from '../../core/errors';
import { isFinal } from '../../core/status';
import type { IJob, IJobChange } from '../../core/types';
import { useJobs } from '../../core/ui/context';

interface IRetentionProps {
  job: IJob;
}

export function LabelsAndRetention({ job }: IRetentionProps): JSX.Element | null {
  const { trans, model } = useJobs();
  const [problem, setProblem] = React.useState('');
  const [busy, setBusy] = React.useState(false);
  const editable = job.actions.includes('edit');
  if (!editable && !job.labels.length && !job.kept_until) {
    return null;
  }
  const attempt = async (action: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true);
    setProblem('');
    try {
      await action();
      return true;
    } catch (error) {
      const told = explain(error, trans);
      setProblem([told.message, told.hint].filter(Boolean).join(' '));
      return false;
    } finally {
      setBusy(false);
    }
  };
  const edit = (change: IJobChange) => attempt(() => model.edit(job.id, change));
  const remove = async () => {
    const answer = await showDialog({
      title: trans.__('Delete “%1”?', job.name),
      body: job.sweep
        ? trans.__(
            'The sweep is deleted with all its points, their logs and the copy of the input. Your own files stay. This cannot be undone.'
          )
        : trans.__(
            'The job is deleted with its log and the copy of its input. Your own files stay. This cannot be undone.'
          ),
      buttons: [
        Dialog.cancelButton({ label: trans.__('Keep it') }),
        Dialog.warnButton({ label: trans.__('Delete the job') })
      ]
    });
    if (answer.button.accept) {
      await attempt(async () => {
        const [result] = await model.bulk('delete', [job.id], job.id);
        if (result?.problem) {
          setProblem([result.problem.message, result.problem.hint].filter(Boolean).join(' '));
        }
      });
    }
  };
  return (
    <section className="aiinfn-Section aiinfn-After">
      <h3>{trans.__('Labels and keeping')}</h3>
      <Labels job={job} editable={editable && !busy} onChange={edit} />
      {isFinal(job) && job.sweep_of === null && (
        <p className="aiinfn-After-kept">
          <span>{keptWords(job, trans)}</span>
          {editable && (
            <button
              type="button"
              className="aiinfn-Link"
              disabled={busy}
              onClick={() => void edit({ pinned: !job.pinned })}
            >
              {job.pinned ? trans.__('Keep no longer than others') : trans.__('Keep')}
            </button>
          )}
          {job.actions.includes('delete') && (
            <button
              type="button"
              className="aiinfn-Link"
              disabled={busy}
              onClick={() => void remove()}
            >
              {trans.__('Delete…')}
            </button>
          )}
        </p>
      )}
      {problem && (
        <p className="aiinfn-After-problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  );
}

function keptWords(job: IJob, trans: TranslationBundle): string {
  if (job.pinned) {
    return trans.__('Kept until you delete it.');
  }
  if (!job.kept_until) {
    return '';
  }
  const day = new Date(job.kept_until).toLocaleDateString(undefined, { dateStyle: 'medium' });
  return trans.__('Kept until %1.', day);
}

interface ILabelsProps extends IRetentionProps {
  editable: boolean;
  onChange: (change: IJobChange) => Promise<boolean>;
}

/** Each label leads to its jobs; a field adds one. */
function Labels({ job, editable, onChange }: ILabelsProps): JSX.Element {
  const { trans, model } = useJobs();
  const [typed, setTyped] = React.useState('');
  const add = async () => {
    const words = typed.split(/[\s,]+/).filter(Boolean);
    if (words.length && (await onChange({ labels: [...job.labels, ...words] }))) {
      setTyped('');
    }
  };
  return (
    <div className="aiinfn-Labels">
      {job.labels.map(label => (
        <span key={label} className="aiinfn-Label">
          <button
            type="button"
            title={trans.__('Show the jobs with the label %1', label)}
            onClick={() => void model.setSearch(`label:${label}`)}
          >
            {label}
          </button>
          {editable && (
            <button
              type="button"
              aria-label={trans.__('Take the label %1 away', label)}
              onClick={() => void onChange({ labels: job.labels.filter(one => one !== label) })}
            >
              ×
            </button>
          )}
        </span>
      ))}
      {editable && (
        <form
          onSubmit={event => {
            event.preventDefault();
            void add();
          }}
        >
          <input
            className="jp-mod-styled"
            value={typed}
            maxLength={200}
            placeholder={trans.__('Add a label')}
            aria-label={trans.__('Add a label, such as paper-2026')}
            onChange={event => setTyped(event.target.value)}
          />
          {typed.trim() && (
            <button type="submit" className="jp-mod-styled jp-mod-minimal">
              {trans.__('Add')}
            </button>
          )}
        </form>
      )}
    </div>
  );
}
