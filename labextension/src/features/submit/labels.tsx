/** The field of the labels, which offers those in use. */

import * as React from 'react';

import type { IJob } from '../../core/types';
import { Field, SuggestedInput } from '../../core/ui/field';
import type { SubmitForm } from './form';

/** Labels that are offered. */
const MOST_OFFERED = 50;

interface ILabelsProps {
  form: SubmitForm;
  error?: string;
  note?: string;
}

export function LabelsField({ form, error, note }: ILabelsProps): JSX.Element {
  const { trans, labels } = form;
  return (
    <Field
      field="labels"
      label={trans.__('Labels')}
      error={error}
      note={note}
      hint={trans.__('Words to find the job by, with commas or blanks between them.')}
    >
      {control => (
        <SuggestedInput
          {...control}
          suggested={completions(labels, form.labelsInUse)}
          value={labels}
          placeholder={trans.__('e.g. %1', 'paper-2026')}
          onChange={event => form.set({ labels: event.target.value })}
        />
      )}
    </Field>
  );
}

/** What the field could hold with one label more: a list of choices completes only the whole of what is typed. */
export function completions(typed: string, used: readonly string[]): string[] {
  const before = /^.*[\s,]/.exec(typed)?.[0] ?? '';
  const there = new Set(before.toLowerCase().split(/[\s,]+/));
  return used.filter(label => !there.has(label)).map(label => before + label);
}

/** The labels of a person's jobs, those of the newest job first. */
export function labelsInUse(jobs: Iterable<IJob>, owner: string | undefined): string[] {
  const own = [...jobs].filter(job => job.labels.length && (!owner || job.owner === owner));
  own.sort((a, b) => Date.parse(b.created) - Date.parse(a.created));
  return [...new Set(own.flatMap(job => job.labels))].slice(0, MOST_OFFERED);
}
