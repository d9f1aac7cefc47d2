/** A labelled control with its hint and its error. */

import { HTMLSelect } from '@jupyterlab/ui-components';
import * as React from 'react';

import { Symbol } from './components';

interface IFieldProps {
  /** The key of the request, which also makes the ids. */
  field: string;
  label: string;
  hint?: React.ReactNode;
  error?: string;
  /** Advice about what is chosen. */
  note?: string;
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
  const { field, label, hint, error, note, aside, className, children } = props;
  const id = controlId(field);
  const described = [error ? `${id}-error` : hint && `${id}-hint`, note && `${id}-note`]
    .filter(Boolean)
    .join(' ');
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
      {hint && !error && (
        <div id={`${id}-hint`} className="aiinfn-Field-hint">
          {hint}
        </div>
      )}
      <FieldError id={`${id}-error`} error={error} />
      <FieldNote id={`${id}-note`} note={note} />
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

/** Advice about what is chosen in a field; told to screen readers when they are idle. */
export function FieldNote({ id, note }: { id: string; note?: string }): JSX.Element {
  return (
    <div aria-live="polite">
      {note && (
        <div id={id} className="aiinfn-Field-error">
          <Symbol name="notice" /> {note}
        </div>
      )}
    </div>
  );
}

interface ISuggestedProps extends React.InputHTMLAttributes<HTMLInputElement> {
  id: string;
  suggested: readonly string[];
}

/** A line of text for which whole texts are suggested. */
export function SuggestedInput({ suggested, ...input }: ISuggestedProps): JSX.Element {
  const list = `${input.id}-list`;
  return (
    <>
      <input
        {...input}
        className="jp-mod-styled"
        type="text"
        list={list}
        autoComplete="off"
        spellCheck={false}
      />
      <datalist id={list}>
        {suggested.map(text => (
          <option key={text} value={text} />
        ))}
      </datalist>
    </>
  );
}

/** Places the mark of a list in the middle of its height. */
export const CARET = { right: '8px', top: '9px' };

interface ISelectProps extends IControl {
  value: string;
  choices: readonly { name: string; title: string }[];
  disabled?: boolean;
  onChange: (name: string) => void;
}

/** A list of choices with JupyterLab's looks. */
export function Select({
  value,
  choices,
  disabled,
  onChange,
  ...control
}: ISelectProps): JSX.Element {
  return (
    <HTMLSelect
      {...control}
      className="aiinfn-Select"
      value={value}
      disabled={disabled}
      onChange={event => onChange(event.target.value)}
      iconProps={CARET}
      options={choices.map(choice => ({ value: choice.name, label: choice.title }))}
    />
  );
}
