/** The points that what is typed makes, and how many of them run at a time. */

import * as React from 'react';

import type { Point } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { Field, FieldError } from '../../core/ui/field';
import { asPython } from '../../core/values';
import type { SweepDraft } from './draft';

/** Rows that are shown. */
const SHOWN = 5;

interface IPreviewProps {
  sweep: SweepDraft;
  errors: { [field: string]: string };
}

export function Preview({ sweep, errors }: IPreviewProps): JSX.Element {
  const { trans } = useJobs();
  const { points, size, way } = sweep;
  const words = sweep.empty
    ? way === 'grid'
      ? trans.__('Give at least one parameter several values.')
      : trans.__('Paste a table, or read a CSV file.')
    : size
      ? trans._n('%1 run', '%1 runs', size)
      : sweep.pending
        ? trans.__('Counting…')
        : trans.__('No runs yet.');
  return (
    <div className="aiinfn-Preview" data-field={way === 'grid' ? 'sweep' : undefined}>
      <Field
        field="sweep.parallelism"
        className="aiinfn-AtMost"
        label={trans.__('At most at once')}
        error={errors['sweep.parallelism']}
        hint={
          size > 0 && Number(sweep.atMost) >= size
            ? trans.__('all of them, if there is room')
            : trans.__('the others wait until one ends')
        }
      >
        {control => (
          <input
            {...control}
            className="jp-mod-styled"
            type="text"
            inputMode="numeric"
            autoComplete="off"
            value={sweep.atMost}
            onChange={event => sweep.setAtMost(event.target.value)}
          />
        )}
      </Field>
      <div className="aiinfn-Preview-points" aria-busy={sweep.pending}>
        <p role="status">
          <strong>{words}</strong>
        </p>
        {way === 'grid' && <FieldError id="aiinfn-sweep-error" error={errors.sweep} />}
        {points && size > 0 && <Points points={points} />}
      </div>
    </div>
  );
}

function Points({ points }: { points: Point[] }): JSX.Element {
  const { trans } = useJobs();
  const names = [...new Set(points.flatMap(point => Object.keys(point)))];
  return (
    <>
      <div
        className="aiinfn-TableBox"
        tabIndex={0}
        role="region"
        aria-label={trans.__('First points')}
      >
        <table className="aiinfn-Table">
          <thead>
            <tr>
              <th scope="col">{trans.__('No.')}</th>
              {names.map(name => (
                <th scope="col" key={name}>
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {points.slice(0, SHOWN).map((point, index) => (
              <tr key={index}>
                <td>{index + 1}</td>
                {names.map(name => (
                  <td key={name}>
                    {name in point ? (
                      asPython(point[name])
                    ) : (
                      <span className="aiinfn-Field-hint">{trans.__('as in the file')}</span>
                    )}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {points.length > SHOWN && (
        <p className="aiinfn-Field-hint">
          {trans._n('and %1 more', 'and %1 more', points.length - SHOWN)}
        </p>
      )}
    </>
  );
}
