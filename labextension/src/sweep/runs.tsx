/** The part of the dialog that says how often the file runs, and with what. */

import * as React from 'react';

import { Arguments, Parameters } from '../submit/parameters';
import type { SubmitForm } from '../submit/form';
import type { IInspection } from '../types';
import '../../style/sweep.css';
import type { Way } from './draft';
import { Grid, Rows } from './grid';
import { Preview } from './preview';
import { Table } from './paste';

interface IRunsProps {
  form: SubmitForm;
  inspection: IInspection;
  errors: { [field: string]: string };
}

export function Runs(props: IRunsProps): JSX.Element {
  const { form, inspection } = props;
  const { sweep, trans } = form;
  const script = inspection.kind === 'script';
  const one = script ? <Arguments {...props} /> : <Parameters {...props} />;
  if (!script && !inspection.parameters.length) {
    // There is nothing that could differ from run to run.
    return one;
  }
  return (
    <>
      <Switch
        name="runs"
        legend={trans.__('Runs')}
        value={sweep.on ? 'sweep' : 'one'}
        choices={[
          { value: 'one', title: trans.__('One run') },
          { value: 'sweep', title: trans.__('Sweep') }
        ]}
        onChange={value => sweep.turn(value === 'sweep', inspection, form.inputs)}
      />
      {sweep.on ? (
        <>
          {script && one}
          <Sweep {...props} />
        </>
      ) : (
        one
      )}
    </>
  );
}

function Sweep({ form, inspection, errors }: IRunsProps): JSX.Element {
  const { sweep, trans } = form;
  return (
    <div className="aiinfn-Sweep">
      <Switch<Way>
        name="way"
        legend={trans.__('Points')}
        value={sweep.way}
        choices={[
          { value: 'grid', title: trans.__('All combinations') },
          { value: 'table', title: trans.__('A table') }
        ]}
        onChange={way => sweep.set({ way })}
      />
      {sweep.way === 'table' ? (
        <Table form={form} inspection={inspection} error={errors.sweep} />
      ) : inspection.kind === 'script' ? (
        <Rows form={form} errors={errors} />
      ) : (
        <Grid form={form} inspection={inspection} errors={errors} />
      )}
      <Preview form={form} errors={errors} />
    </div>
  );
}

interface ISwitchProps<T extends string> {
  name: string;
  legend: string;
  value: T;
  choices: { value: T; title: string }[];
  onChange: (value: T) => void;
}

/** One of a few choices, all in sight. */
function Switch<T extends string>(props: ISwitchProps<T>): JSX.Element {
  const { name, legend, value, choices, onChange } = props;
  return (
    <fieldset className="aiinfn-Switch">
      <legend>{legend}</legend>
      <div className="aiinfn-Switch-choices">
        {choices.map(choice => (
          <label
            key={choice.value}
            className={choice.value === value ? 'aiinfn-mod-checked' : undefined}
          >
            <input
              type="radio"
              name={`aiinfn-${name}`}
              checked={choice.value === value}
              onChange={() => onChange(choice.value)}
            />
            {choice.title}
          </label>
        ))}
      </div>
    </fieldset>
  );
}
