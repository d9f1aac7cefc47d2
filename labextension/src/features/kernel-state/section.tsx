/** The part of the dialog that shows which variables of the session go with the job. */

import * as React from 'react';

import type { IVariable } from '../../core/types';
import { Symbol, useSignal } from '../../core/ui/components';
import { useJobs } from '../../core/ui/context';
import { FieldError } from '../../core/ui/field';
import { bytes, type Carried } from './carried';

interface ISectionProps {
  carried: Carried;
  /** Whether the job gets another environment than this session. */
  otherImage: boolean;
  error?: string;
}

export function CarriedSection({ carried, otherImage, error }: ISectionProps): JSX.Element {
  useSignal(carried.changed);
  const { trans } = useJobs();
  const { stock } = carried;
  if (!stock) {
    return <p role="status">{trans.__('Asking the kernel for its variables…')}</p>;
  }
  return (
    <fieldset className="aiinfn-Carried" data-field="from_here">
      <legend>{trans.__('Goes on from this session')}</legend>
      <p className="aiinfn-Carried-where">
        {trans._n(
          'The job begins at cell %2 of %3 and runs %1 cell with code. The cells before keep their outputs.',
          'The job begins at cell %2 of %3 and runs %1 cells with code. The cells before keep their outputs.',
          stock.code_cells,
          stock.cell + 1,
          stock.cells
        )}
      </p>
      <ul className="aiinfn-Carried-notes">
        {stock.notes.map(({ verdict, sentence, hint }) => (
          <Note key={sentence} problem={verdict === 'problem'}>
            {sentence} {hint}
          </Note>
        ))}
        {otherImage && (
          <Note>
            {trans.__(
              'The job gets another environment than this session, which has Python %1. If its Python or packages differ, it may not be able to read the variables.',
              stock.python
            )}
          </Note>
        )}
      </ul>
      <Refused carried={carried} />
      <Large carried={carried} />
      <Rest carried={carried} />
      <FieldError id="aiinfn-field-from_here-error" error={error} />
    </fieldset>
  );
}

function Note({
  problem,
  children
}: {
  problem?: boolean;
  children: React.ReactNode;
}): JSX.Element {
  return (
    <li className={problem ? 'aiinfn-mod-problem' : 'aiinfn-mod-notice'}>
      <Symbol name={problem ? 'failed' : 'notice'} />
      <span>{children}</span>
    </li>
  );
}

/** Those that cannot go with the job, and why. */
function Refused({ carried }: Pick<ISectionProps, 'carried'>): JSX.Element | null {
  const { trans } = useJobs();
  const { refused } = carried;
  return refused.length ? (
    <>
      <h4>{trans.__('Cannot be carried')}</h4>
      <ul className="aiinfn-Carried-list">
        {refused.map(each => (
          <li key={each.name}>
            <code>{each.name}</code>{' '}
            <span>
              {each.reason}{' '}
              {each.used
                ? trans.__('The cells from here on seem to use it.')
                : trans.__('No cell from here on seems to use it.')}
            </span>
          </li>
        ))}
      </ul>
    </>
  ) : null;
}

/** Large ones, which can be left out. */
function Large({ carried }: Pick<ISectionProps, 'carried'>): JSX.Element | null {
  const { trans } = useJobs();
  const { large } = carried;
  return large.length ? (
    <>
      <h4>{trans.__('Large variables')}</h4>
      <ul className="aiinfn-Carried-list">
        {large.map(each => (
          <li key={each.name}>
            <label>
              <input
                type="checkbox"
                checked={carried.has(each)}
                onChange={event => carried.choose(each.name, event.target.checked)}
              />
              <code>{each.name}</code>
              <span>
                {bytes(each.size ?? 0)}, {each.type}.{' '}
                {each.used
                  ? trans.__('The cells from here on seem to use it.')
                  : trans.__('No cell from here on seems to use it.')}
              </span>
            </label>
          </li>
        ))}
      </ul>
    </>
  ) : null;
}

/** What goes with the job, in all. */
function Rest({ carried }: Pick<ISectionProps, 'carried'>): JSX.Element {
  const { trans } = useJobs();
  const { carried: list, excess, stock } = carried;
  const size = bytes(carried.size);
  const modules = stock?.modules ?? [];
  const sum = trans._n(
    '%1 variable is carried (%2)',
    '%1 variables are carried (%2)',
    list.length,
    size
  );
  return (
    <>
      {excess && (
        <FieldError
          id="aiinfn-carried-excess"
          error={
            'limit' in excess
              ? trans.__(
                  'The variables take %1, and at most %2 can be carried. Leave out large ones.',
                  size,
                  bytes(excess.limit)
                )
              : trans.__(
                  'The variables take %1, and only %2 are free in your home. Leave out large ones.',
                  size,
                  bytes(excess.free)
                )
          }
        />
      )}
      <details>
        <summary>{sum}</summary>
        <p className="aiinfn-Carried-names">{list.map(named).join(', ')}</p>
        {modules.length > 0 && (
          <p className="aiinfn-Carried-names">
            {trans.__('Modules that are imported again: %1', modules.join(', '))}
          </p>
        )}
        <p className="aiinfn-Field-hint">
          {trans.__(
            'They are written to a file in your home when you submit; the kernel is busy for so long. What is changed later in the session does not change the job.'
          )}
        </p>
      </details>
    </>
  );
}

function named({ name, type, code }: IVariable): string {
  return code ? name : `${name} (${type})`;
}
