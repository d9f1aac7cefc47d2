/** The inputs of a notebook's parameters, or of a script's arguments. */

import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { initialInput, isChanged, type Typed, typeWord } from '../../core/parameters';
import type { IInspection, IParameter } from '../../core/types';
import { controlId, Field, type IControl } from '../../core/ui/field';
import type { SubmitForm } from './form';
import { splitArguments } from './values';

interface IPartProps {
  form: SubmitForm;
  inspection: IInspection;
  errors: { [field: string]: string };
}

export function Parameters({ form, inspection, errors }: IPartProps): JSX.Element {
  const { trans } = form;
  const { parameters, parameters_note: note } = inspection;
  return (
    <fieldset className="aiinfn-Parameters">
      <legend>{trans.__('Parameters')}</legend>
      {note && <p className="aiinfn-Field-hint">{note}</p>}
      {!parameters.length && !note && (
        <p className="aiinfn-Field-hint">
          {trans.__(
            'This notebook has none. Give a cell the tag “parameters” to set its values here.'
          )}
        </p>
      )}
      {parameters.map(parameter => (
        <Parameter
          key={parameter.name}
          parameter={parameter}
          input={form.inputs[parameter.name] ?? initialInput(parameter)}
          error={errors[`parameters.${parameter.name}`]}
          read={form.checker.pending ? undefined : form.checker.values[parameter.name]}
          trans={trans}
          onChange={value => form.setInput(parameter.name, value)}
          onReset={() => {
            form.resetInput(parameter.name);
            document.getElementById(controlId(`parameters.${parameter.name}`))?.focus();
          }}
        />
      ))}
    </fieldset>
  );
}

interface IParameterProps {
  parameter: IParameter;
  input: Typed;
  error?: string;
  /** How Python will have what is typed; undefined while that is not known. */
  read?: string;
  trans: TranslationBundle;
  onChange: (value: Typed) => void;
  onReset: () => void;
}

function Parameter(props: IParameterProps): JSX.Element {
  const { parameter, input, error, read, trans, onChange, onReset } = props;
  const changed = isChanged(parameter, input);
  return (
    <Field
      field={`parameters.${parameter.name}`}
      className={`aiinfn-Parameter${changed ? ' aiinfn-mod-changed' : ''}`}
      label={parameter.name}
      hint={[
        parameter.help,
        emptyHint(parameter, trans),
        changed && !error && read !== undefined ? trans.__('In Python: %1', read) : ''
      ]
        .filter(Boolean)
        .join(' ')}
      error={error}
      aside={
        changed ? (
          <span className="aiinfn-Parameter-changed">
            {trans.__('changed')}
            <button
              type="button"
              className="aiinfn-Link"
              onClick={onReset}
              aria-label={trans.__('Reset %1 to %2', parameter.name, parameter.source)}
            >
              {trans.__('reset')}
            </button>
          </span>
        ) : (
          <span className="aiinfn-Parameter-type">{typeWord(parameter, trans)}</span>
        )
      }
    >
      {control => renderInput(parameter, input, control, trans, onChange)}
    </Field>
  );
}

function renderInput(
  parameter: IParameter,
  input: Typed,
  control: IControl,
  trans: TranslationBundle,
  onChange: (value: Typed) => void
): React.ReactNode {
  if (typeof input === 'boolean') {
    return (
      <div className="aiinfn-Check">
        <input
          {...control}
          type="checkbox"
          checked={input}
          onChange={event => onChange(event.target.checked)}
        />
        <span aria-hidden="true">{input ? trans.__('yes') : trans.__('no')}</span>
      </div>
    );
  }
  const numeric = parameter.type === 'int' || parameter.type === 'float';
  return (
    <input
      {...control}
      className="jp-mod-styled"
      type="text"
      inputMode={parameter.type === 'int' ? 'numeric' : numeric ? 'decimal' : 'text'}
      autoComplete="off"
      spellCheck={false}
      value={input}
      placeholder={
        parameter.type === 'unknown' || parameter.type === 'none' ? parameter.source : undefined
      }
      onChange={event => onChange(event.target.value)}
    />
  );
}

/** What an empty input means where the default cannot be shown as a value. */
function emptyHint(parameter: IParameter, trans: TranslationBundle): string {
  return parameter.type === 'unknown' || parameter.type === 'none'
    ? trans.__('Left empty, the notebook’s own value counts.')
    : '';
}

/** The command line of a script. */
export function Arguments({ form, inspection, errors }: IPartProps): JSX.Element {
  const { trans } = form;
  const count = splitArguments(form.argumentLine)?.length ?? 0;
  return (
    <Field
      field="arguments"
      label={trans.__('Arguments')}
      error={errors.arguments}
      hint={
        count
          ? trans._n('%1 argument', '%1 arguments', count)
          : trans.__('As on the command line of %1; put quotes around blanks.', inspection.name)
      }
    >
      {control => (
        <input
          {...control}
          className="jp-mod-styled aiinfn-mod-code"
          type="text"
          autoComplete="off"
          spellCheck={false}
          value={form.argumentLine}
          placeholder={trans.__('e.g. %1', '--epochs 20 --rate 0.1')}
          onChange={event => form.set({ argumentLine: event.target.value })}
        />
      )}
    </Field>
  );
}
