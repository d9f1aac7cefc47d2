/** The part of the dialog that says how often the file runs, and with what. */

import * as React from 'react';

import type { IInspection } from '../../core/types';
import { Switch } from '../../core/ui/switch';
import type { SubmitForm } from './form';
import { Arguments, Parameters } from './parameters';

const Sweep = React.lazy(() => import('../sweep/editor'));

interface IRunsProps {
  form: SubmitForm;
  inspection: IInspection;
  errors: { [field: string]: string };
}

export function Runs(props: IRunsProps): JSX.Element {
  const { form, inspection, errors } = props;
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
            <Sweep sweep={sweep} path={form.path} inspection={inspection} errors={errors} />
          </React.Suspense>
        </>
      ) : (
        one
      )}
    </>
  );
}
