/** A labelled control with its hint and its error. */

import * as React from 'react';

import { Symbol } from '../react';

interface IFieldProps {
  /** The key of the request, which also makes the ids. */
  field: string;
  label: string;
  hint?: React.ReactNode;
  error?: string;
  /** What stands behind the label, e.g. a mark. */
  aside?: React.ReactNode;
  className?: string;
  /** Draws the control, given what ties it to its label and sentences. */
  children: (control: IControl) => React.ReactNode;
}

/** Attributes of a control. */
export interface IControl {
  id: string;
  'aria-describedby': string | undefined;
  'aria-invalid': true | undefined;
}

/** The id of the control of a field. */
export function controlId(field: string): string {
  return `aiinfn-field-${field.replace(/[^A-Za-z0-9_-]/g, '_')}`;
}

export function Field(props: IFieldProps): JSX.Element {
  const { field, label, hint, error, aside, className, children } = props;
  const id = controlId(field);
  const described = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ');
  return (
    <div className={`aiinfn-Field ${className ?? ''}`} data-field={field}>
      <div className="aiinfn-Field-head">
        <label htmlFor={id}>{label}</label>
        {aside}
      </div>
      {children({
        id,
        'aria-describedby': described || undefined,
        'aria-invalid': error ? true : undefined
      })}
      {hint && (
        <div id={`${id}-hint`} className="aiinfn-Field-hint">
          {hint}
        </div>
      )}
      <FieldError id={`${id}-error`} error={error} />
    </div>
  );
}

/** The sentence about what is wrong with a field. */
export function FieldError({ id, error }: { id: string; error?: string }): JSX.Element | null {
  return error ? (
    <div id={id} className="aiinfn-Field-error" role="alert">
      <Symbol name="failed" /> {error}
    </div>
  ) : null;
}

interface ISelectProps extends IControl {
  value: string;
  choices: readonly { name: string; title: string }[];
  disabled?: boolean;
  onChange: (name: string) => void;
}

/** A list of choices with JupyterLab's looks. */
export function Select({ value, choices, disabled, onChange, ...control }: ISelectProps): JSX.Element {
  return (
    <div className="jp-select-wrapper aiinfn-Select">
      <select
        {...control}
        className="jp-mod-styled"
        value={value}
        disabled={disabled}
        onChange={event => onChange(event.target.value)}
      >
        {choices.map(choice => (
          <option key={choice.name} value={choice.name}>
            {choice.title}
          </option>
        ))}
      </select>
    </div>
  );
}
