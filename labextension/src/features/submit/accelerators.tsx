/** The choice of an accelerator as cards that say what is free. */

import * as React from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';

import type { IAccelerator } from '../../core/types';
import { controlId, FieldError, FieldNote } from '../../core/ui/field';
import { CPU_ONLY, type IOffer } from './choices';

interface IAcceleratorsProps {
  offer: IOffer;
  value: string;
  error?: string;
  note?: string;
  trans: TranslationBundle;
  onChange: (name: string) => void;
}

/** "2 of 3 free, 4 waiting". */
export function headroom(accelerator: IAccelerator, trans: TranslationBundle): string {
  const { free, total, queued } = accelerator.availability;
  return queued
    ? trans.__('%1 of %2 free, %3 waiting', free, total, queued)
    : trans.__('%1 of %2 free', free, total);
}

export function Accelerators(props: IAcceleratorsProps): JSX.Element {
  const { offer, value, error, note, trans, onChange } = props;
  const id = controlId('accelerator');
  return (
    <fieldset
      className="aiinfn-Field aiinfn-Cards"
      data-field="accelerator"
      aria-describedby={error ? `${id}-error` : note ? `${id}-note` : undefined}
    >
      <legend>{trans.__('Accelerator')}</legend>
      <div className="aiinfn-Cards-grid">
        {offer.cpuOnly && (
          <Card
            name={CPU_ONLY}
            title={trans.__('CPU only')}
            checked={value === CPU_ONLY}
            line={trans.__('no accelerator')}
            onChange={onChange}
          />
        )}
        {offer.accelerators.map(item => (
          <Card
            key={item.name}
            name={item.name}
            title={item.title}
            tag={item.simulated ? trans.__('simulated') : undefined}
            caption={item.description}
            checked={value === item.name}
            line={headroom(item, trans)}
            share={
              item.availability.total ? item.availability.free / item.availability.total : undefined
            }
            onChange={onChange}
          />
        ))}
      </div>
      <FieldError id={`${id}-error`} error={error} />
      <FieldNote id={`${id}-note`} note={note} />
    </fieldset>
  );
}

interface ICardProps {
  name: string;
  title: string;
  tag?: string;
  caption?: string;
  line: string;
  /** The free part, 0 to 1. */
  share?: number;
  checked: boolean;
  onChange: (name: string) => void;
}

function Card(props: ICardProps): JSX.Element {
  const { name, title, tag, caption, line, share, checked, onChange } = props;
  return (
    <label className={`aiinfn-Card${checked ? ' aiinfn-mod-checked' : ''}`} title={caption}>
      <input
        type="radio"
        name="aiinfn-accelerator"
        value={name}
        checked={checked}
        onChange={() => onChange(name)}
      />
      <span className="aiinfn-Card-body">
        <span className="aiinfn-Card-title">
          {title}
          {tag && <span className="aiinfn-Tag">{tag}</span>}
        </span>
        {share !== undefined && (
          <span className="aiinfn-Meter" aria-hidden="true">
            <span style={{ width: `${Math.round(share * 100)}%` }} />
          </span>
        )}
        <span className="aiinfn-Card-line">{line}</span>
      </span>
    </label>
  );
}
