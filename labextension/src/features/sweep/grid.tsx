/** Values of each parameter, all combinations of which run. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { typeWord } from '../../core/parameters';
import type { IInspection, IParameter } from '../../core/types';
import { useJobs } from '../../core/ui/context';
import { controlId, Field, FieldError } from '../../core/ui/field';
import { rowField, type SweepDraft } from './draft';

interface IGridProps {
  sweep: SweepDraft;
  errors: { [field: string]: string };
}

/** Of a notebook: a field for each of its parameters. */
export function Grid({
  sweep,
  inspection,
  errors
}: IGridProps & { inspection: IInspection }): JSX.Element {
  const { trans } = useJobs();
  return (
    <>
      <Help trans={trans} />
      <div className="aiinfn-Parameters" role="group" aria-label={trans.__('Parameters')}>
        {inspection.parameters.map(parameter => (
          <Field
            key={parameter.name}
            field={`sweep.${parameter.name}`}
            className={`aiinfn-Parameter${sweep.grid[parameter.name]?.trim() ? ' aiinfn-mod-changed' : ''}`}
            label={parameter.name}
            aside={<span className="aiinfn-Parameter-type">{typeWord(parameter, trans)}</span>}
            hint={
              <>
                {parameter.help && <div>{parameter.help}</div>}
                <div>{own(parameter, trans)}</div>
              </>
            }
            error={errors[`sweep.${parameter.name}`]}
          >
            {control => (
              <input
                {...control}
                className="jp-mod-styled"
                type="text"
                autoComplete="off"
                spellCheck={false}
                value={sweep.grid[parameter.name] ?? ''}
                placeholder={trans.__('e.g. %1', example(parameter))}
                onChange={event => sweep.setValues(parameter.name, event.target.value)}
              />
            )}
          </Field>
        ))}
      </div>
    </>
  );
}

/** What counts if nothing is typed. */
function own(parameter: IParameter, trans: TranslationBundle): string {
  return parameter.source.length > 40
    ? trans.__('Left empty: as in the notebook.')
    : trans.__('Left empty: %1, as in the notebook.', parameter.source);
}

function example(parameter: IParameter): string {
  switch (parameter.type) {
    case 'bool':
      return 'true, false';
    case 'int':
      return '1..10';
    case 'str':
      return 'adam, sgd';
    case 'list':
      return '[1, 2], [3, 4]';
    case 'dict':
      return '{"depth": 3}, {"depth": 5}';
    default:
      return '0.1, 0.2, 0.5';
  }
}

/** How values are written. */
function Help({ trans }: { trans: TranslationBundle }): JSX.Element {
  const ways: [string, string][] = [
    ['0.1, 0.2, 0.5', trans.__('these values; text with a comma in "quotes"')],
    ['1..10', trans.__('whole numbers, both ends included')],
    ['0..100..10', trans.__('in steps of 10')],
    ['lin(0, 1, 5)', trans.__('5 numbers at equal distances')],
    ['log(1e-4, 1e-1, 4)', trans.__('4 numbers of equal ratios')]
  ];
  return (
    <details className="aiinfn-Help">
      <summary>{trans.__('How values are written')}</summary>
      <dl>
        {ways.map(([code, words]) => (
          <React.Fragment key={code}>
            <dt>
              <code>{code}</code>
            </dt>
            <dd>{words}</dd>
          </React.Fragment>
        ))}
      </dl>
    </details>
  );
}

/** Of a script: names that the person gives. */
export function Rows({ sweep, errors }: IGridProps): JSX.Element {
  const { trans } = useJobs();
  const { rows } = sweep;
  const change = (index: number, part: Partial<(typeof rows)[number]>) =>
    sweep.set({ rows: rows.map((row, at) => (at === index ? { ...row, ...part } : row)) });
  return (
    <>
      <p className="aiinfn-Field-hint">
        {trans.__('Each run gets its values behind the arguments, as %1.', '--name=value')}
      </p>
      <Help trans={trans} />
      <div className="aiinfn-Rows" role="group" aria-label={trans.__('Parameters')}>
        {rows.map((row, index) => {
          const id = controlId(rowField(index));
          const error = errors[rowField(index)];
          const described = error
            ? { 'aria-invalid': true as const, 'aria-describedby': `${id}-error` }
            : {};
          return (
            <div className="aiinfn-Rows-row" key={index} data-field={rowField(index)}>
              <input
                className="jp-mod-styled aiinfn-mod-code"
                type="text"
                autoComplete="off"
                spellCheck={false}
                aria-label={trans.__('Name of parameter %1', index + 1)}
                placeholder={trans.__('name')}
                value={row.name}
                onChange={event => change(index, { name: event.target.value })}
              />
              <input
                {...described}
                id={id}
                className="jp-mod-styled"
                type="text"
                autoComplete="off"
                spellCheck={false}
                aria-label={trans.__('Values of parameter %1', row.name || index + 1)}
                placeholder={trans.__('values, e.g. %1', '0.1, 0.2, 0.5')}
                value={row.text}
                onChange={event => change(index, { text: event.target.value })}
              />
              <button
                type="button"
                className="aiinfn-Link"
                disabled={rows.length < 2}
                aria-label={trans.__('Remove parameter %1', row.name || index + 1)}
                onClick={() => sweep.set({ rows: rows.filter((_, at) => at !== index) })}
              >
                {trans.__('remove')}
              </button>
              <FieldError id={`${id}-error`} error={error} />
            </div>
          );
        })}
        <button
          type="button"
          className="aiinfn-Link aiinfn-Rows-add"
          onClick={() => sweep.set({ rows: [...rows, { name: '', text: '' }] })}
        >
          {trans.__('Add a parameter')}
        </button>
      </div>
    </>
  );
}
