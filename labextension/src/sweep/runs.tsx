/** The part of the dialog that says how often the file runs, and with what. */

import * as React from 'react';

import { Arguments, Parameters } from '../submit/parameters';
import type { SubmitForm } from '../submit/form';
import { Switch } from '../submit/switch';
import type { IInspection } from '../types';

const Sweep = React.lazy(() => import('./values'));

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
          <React.Suspense fallback={null}>
            <Sweep {...props} />
          </React.Suspense>
        </>
      ) : (
        one
      )}
    </>
  );
}
