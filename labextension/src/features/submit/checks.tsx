/** What there is to know before sending: the checks, and the sentence that is the answer to all. */

import * as React from 'react';

import { descriptions } from '../../core/descriptions';
import type { ICheck } from '../../core/types';
import { Symbol } from '../../core/ui/components';
import { controlId } from '../../core/ui/field';
import type { SubmitForm } from './form';

interface IChecksProps {
  form: SubmitForm;
  notes: { [field: string]: string };
}

/** Problems, then notices, then what is fine in one line. What stands beside its field is only pointed at. */
export function Checks({ form, notes }: IChecksProps): JSX.Element {
  const { trans, checker } = form;
  // The answer at the bottom says what it is refused for.
  const told = form.refusal?.message;
  const mine = checker.checks.filter(
    check => check.verdict !== 'ok' && check.sentence !== told && !form.isPlaced(check)
  );
  const loud = [
    ...mine.filter(check => check.verdict === 'problem'),
    ...mine.filter(check => check.verdict !== 'problem')
  ];
  const fine = checker.checks.filter(check => check.verdict === 'ok');
  const marked = Object.keys(notes).filter(field => notes[field] && field in labels(form));
  return (
    <section className="aiinfn-Checks" aria-label={trans.__('Checked before it is sent')}>
      <ul aria-live="polite">
        {loud.map(check => (
          <li
            key={`${check.what} ${check.sentence}`}
            className={check.verdict === 'problem' ? 'aiinfn-mod-problem' : 'aiinfn-mod-notice'}
          >
            <Symbol name={check.verdict === 'problem' ? 'failed' : 'notice'} />
            <div>
              <strong>
                {check.verdict === 'problem' ? trans.__('Problem:') : trans.__('Notice:')}
              </strong>{' '}
              {check.sentence} <span className="aiinfn-Checks-hint">{check.hint}</span>
            </div>
          </li>
        ))}
        {marked.length > 0 && (
          <li key="marked">
            <Symbol name="notice" />
            <div>
              {trans.__('Marked above:')}
              {marked.map(field => (
                <button
                  key={field}
                  type="button"
                  className="aiinfn-Link"
                  onClick={() => goTo(field)}
                >
                  {labels(form)[field]}
                </button>
              ))}
            </div>
          </li>
        )}
      </ul>
      <Fine form={form} fine={fine} alone={!loud.length && !marked.length} />
    </section>
  );
}

/** What is fine, in one line that opens. */
function Fine(props: { form: SubmitForm; fine: readonly ICheck[]; alone: boolean }): JSX.Element {
  const { form, fine, alone } = props;
  const { trans } = form;
  if (!fine.length) {
    return (
      <p className="aiinfn-Checks-fine">
        {form.checker.pending ? trans.__('Looking at the file and at the queue…') : '\u00a0'}
      </p>
    );
  }
  const number = fine.length;
  return (
    <details className="aiinfn-Checks-fine">
      <summary>
        <Symbol name="succeeded" />{' '}
        {alone
          ? trans._n('%1 thing checked, and it is fine', '%1 things checked, all fine', number)
          : trans._n('%1 other thing is fine', '%1 other things are fine', number)}
      </summary>
      <ul>
        {fine.map(check => (
          <li key={`${check.what} ${check.sentence}`}>{check.sentence}</li>
        ))}
      </ul>
    </details>
  );
}

/** Names of the fields that can be marked. */
function labels({ trans }: SubmitForm): { [field: string]: string } {
  return {
    project: trans.__('Project'),
    accelerator: trans.__('Accelerator'),
    queue: trans.__('Queue'),
    count: trans.__('How many'),
    image: trans.__('Environment'),
    size: trans.__('Size'),
    time_limit: trans.__('Time limit'),
    ...Object.fromEntries(descriptions(trans).map(({ key, label }) => [key, label])),
    program: trans.__('File'),
    command: trans.__('Command')
  };
}

function goTo(field: string): void {
  const control =
    document.getElementById(controlId(field)) ??
    document.querySelector<HTMLElement>(`[data-field="${field}"] input:checked`);
  control?.focus();
  control?.scrollIntoView({ block: 'center' });
}

/** Whether a refusal stands beside its field, so that the answer need not repeat it. */
function isMarked(form: SubmitForm, field: string): boolean {
  const place = form.place(field);
  return place in labels(form) || /^(arguments|parameters|sweep|from_here|state)/.test(place);
}

/** What would happen, or why not. */
export function Verdict({ form }: { form: SubmitForm }): JSX.Element {
  const { trans, checker, failure } = form;
  const { verdict, pending, late } = checker;
  const refused = failure ?? form.refusal;
  const bad = checker.checks.some(check => check.verdict === 'problem');
  let tone = 'quiet';
  let symbol = 'queued';
  let content: React.ReactNode = trans.__('Checking…');
  if (form.busy) {
    content = trans.__('Submitting…');
  } else if (form.fatal) {
    content = trans.__('This cannot be submitted; see above.');
  } else if (refused) {
    tone = 'error';
    symbol = 'failed';
    content =
      refused.field && isMarked(form, refused.field)
        ? trans.__('Not accepted: see the marked field.')
        : [refused.message, refused.hint].filter(Boolean).join(' ');
  } else if (verdict.kind === 'accepted') {
    tone = bad ? 'warning' : 'good';
    symbol = bad ? 'notice' : 'succeeded';
    content = verdict.sentence;
  } else if (!pending) {
    symbol = 'notice';
    content = form.canSubmit
      ? ''
      : Object.keys(form.errors).length
        ? trans.__('Correct the marked fields first.')
        : form.carried
          ? trans.__('Leave out large variables first.')
          : trans.__('Say first which values the sweep goes through.');
  } else if (late) {
    content = trans.__('The platform has not answered yet. You can submit without its answer.');
  }
  return (
    <div className={`aiinfn-Verdict aiinfn-mod-${tone}`} role="status">
      <Symbol name={symbol} />
      <span>{content}</span>
      {pending && verdict.kind !== 'none' && !form.busy && (
        <span className="aiinfn-Verdict-again" aria-hidden="true">
          {trans.__('checking…')}
        </span>
      )}
    </div>
  );
}
